"""Files by id, and the paths they can be downloaded from until these expire. Thread-safe."""

import threading

from faketelegram.accounts import File


class FileStore:
    def __init__(self) -> None:
        self._files: dict[str, File] = {}
        self._paths: dict[str, File] = {}
        self._path_of: dict[str, str] = {}
        self._issued = 0
        self._lock = threading.Lock()

    def add(self, *files: File) -> None:
        with self._lock:
            self._files.update({file.file_id: file for file in files})

    def remove(self, *files: File) -> None:
        with self._lock:
            for file in files:
                self._files.pop(file.file_id, None)
                self._expire(file.file_id)

    def find(self, file_id: str) -> File | None:
        return self._files.get(file_id)

    def at(self, path: str) -> File | None:
        return self._paths.get(path)

    def path_of(self, file: File) -> str:
        """Return the path for the download: a counter, no identity. It stays the same until it expires."""
        with self._lock:
            path = self._path_of.get(file.file_id)
            if path is None:
                path = f"photos/file_{self._issued}.jpg" if file.width else f"documents/file_{self._issued}"
                self._issued += 1
                self._path_of[file.file_id] = path
                self._paths[path] = file
            return path

    def expire(self, file_id: str | None = None) -> None:
        """Make this file's path, or every path, answer 404 from now on."""
        with self._lock:
            for each in [file_id] if file_id is not None else list(self._path_of):
                self._expire(each)

    def _expire(self, file_id: str) -> None:
        path = self._path_of.pop(file_id, None)
        if path is not None:
            del self._paths[path]
