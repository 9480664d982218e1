"""Uploads and files in a folder, compressed with gzip: good for tables and logs, and for nothing that is a photo."""

import contextlib
import gzip
import pathlib
import shutil
import tempfile

from izzati import Sink, Storage, StoredFile, safe_filename


class Gzip(Storage):
    """Takes every upload, and saves and opens files at ``gz://…``.

    :param folder: where all of it is; made if it does not exist.
    :param level: 1 for speed to 9 for size.
    """

    schemes = ("gz",)

    def __init__(self, folder: str = "gzip", level: int = 6):
        if not 1 <= level <= 9:
            raise ValueError(f"gzip: level is a whole number from 1 to 9, not {level}")
        self._folder = pathlib.Path(folder)
        self._level = level

    def sink(self, upload, request):
        self._folder.mkdir(parents=True, exist_ok=True)
        return GzipSink(self._folder, self._level)

    def open(self, location):
        path = self._path(location)
        return StoredFile(gzip.open(path), path.stem, None, path.stat().st_mtime)

    def save(self, file, location):
        """Compress it beside its place first, so that nobody ever finds half a file."""
        self._folder.mkdir(parents=True, exist_ok=True)
        whole = GzipSink(self._folder, self._level)
        try:
            with file.sink.open() as source:
                shutil.copyfileobj(source, whole)
            whole.commit()
            whole.path.replace(self._path(location))
        except BaseException:
            whole.abort()
            raise
        return location

    def _path(self, location):
        """One safe name in the folder, whatever the location says."""
        return self._folder / f"{safe_filename(location.partition('://')[2])}.gz"


class GzipSink(Sink):
    """Where the bytes of one upload go: a hidden file, which is gone when the request is over."""

    def __init__(self, folder, level):
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".upload-", delete=False) as made:
            self.path = pathlib.Path(made.name)
        self._file = gzip.open(self.path, "wb", level)  # noqa: SIM115 - until commit or abort

    def write(self, data):
        return self._file.write(data)

    def commit(self):
        self._file.close()  # the last block is written here, so a full disk may be told here

    def abort(self):
        with contextlib.suppress(OSError):
            self._file.close()
        self.close()

    def open(self):
        return gzip.open(self.path)

    def close(self):
        self.path.unlink(missing_ok=True)
