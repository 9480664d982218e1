"""CBOR (RFC 8949): what JSON carries, in fewer bytes, and bytes and points in time as well."""

import io

import cbor2

from izzati import Codec


class CBOR(Codec):
    """Reads and writes ``application/cbor``; reads types that are CBOR by their suffix, too."""

    reads = ("application/cbor", "*+cbor")
    writes = ("application/cbor",)

    def decode(self, body, request):
        """The value, if it is the only one and has one meaning."""
        stream = io.BytesIO(body)
        decoder = cbor2.CBORDecoder(
            stream, allow_duplicate_keys=False, strict_hashable_types=True, semantic_decoders=_OnlyTimes()
        )
        try:
            value = decoder.decode()
        except cbor2.CBORDecodeError as error:
            raise ValueError(error) from error
        if stream.read(1):
            raise ValueError("something follows its value")
        return value

    def encode(self, value, media_type):
        """The bytes. A datetime keeps its time zone; one without any is refused."""
        try:
            return cbor2.dumps(value)
        except cbor2.CBOREncodeError as error:
            raise TypeError(f"a result cannot be written as CBOR: {error}") from error


class _OnlyTimes(dict):
    """Of CBOR's tags those for points in time are read. Others refer back, to make much of little, or cycles."""

    def __missing__(self, tag):
        if tag in (0, 1):
            raise KeyError(tag)  # as cbor2 does it
        raise ValueError(f"tag {tag} is not read")
