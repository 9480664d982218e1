"""Uploads and files in any store that fsspec opens: S3, Google Cloud Storage, Azure, SFTP, a folder."""

from izzati_storage.store import Store

__all__ = ["Store"]
