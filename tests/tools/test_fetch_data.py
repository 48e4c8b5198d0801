#!/usr/bin/python3
"""fetch_data.sh, from a server of this test's own and from file:// addresses. A copy of the script knows the checksums of
files made here, as nobody can make others with those of the real ones."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import io
import subprocess
import tarfile
import tempfile
import threading
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "tools/fetch_data.sh"
IDX = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, without ranges: a download cannot be continued."""

    def log_message(self, *_: object) -> None:
        pass


class FetchData(unittest.TestCase):
    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = Path(place.name)
        self.store = self.place / "store"
        self.store.mkdir()
        self.text = SCRIPT.read_text()
        self.address = f"file://{self.store}"

    def serve(self) -> None:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(self.store)))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.address = f"http://127.0.0.1:{server.server_port}"

    def offer(self, name: str, content: bytes) -> bytes:
        """A file of the store, whose checksum the script's copy knows."""
        (self.store / name).write_bytes(content)
        before = self.text.split(f":{name}")
        self.assertGreaterEqual(len(before), 2, name)
        self.text = f":{name}".join([part[:-32] + hashlib.md5(content).hexdigest() for part in before[:-1]] + before[-1:])
        return content

    def offer_archive(self, archive: str, folder: str) -> None:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            for name in ("test_batch.bin", "data_batch_1.bin"):
                entry = tarfile.TarInfo(f"{folder}/{name}")
                entry.size = 50000
                tar.addfile(entry, io.BytesIO(name.encode().ljust(50000, b"x")))
        self.offer(archive, packed.getvalue())

    def fetch(self, *arguments: str, expect: int = 0, says: tuple[str, ...] = (), path: Path | None = None) -> str:
        script = self.place / "fetch_data.sh"
        script.write_text(self.text)
        done = subprocess.run(["bash", script, *arguments], capture_output=True, text=True, cwd=self.place,
                              env={"PATH": "/usr/bin:/bin", "GRADSCAPE_DATA_URL": self.address})
        self.assertEqual(done.returncode, expect, done.stderr)
        for words in says:
            self.assertIn(words, done.stdout + done.stderr)
        return done.stdout

    def test_idx_files(self) -> None:
        for serve in (False, True):
            if serve:
                self.serve()
            for name in ("mnist", "fashion-mnist"):
                folder = self.place / f"{name}-{serve}"
                contents = {file: self.offer(file, gzip.compress(f"{name} {file}".encode() * 1000)) for file in IDX}
                said = self.fetch(name, str(folder), says=(f"--data.source idx --data.path {folder}",))
                self.assertEqual({path.name: path.read_bytes() for path in folder.iterdir()}, contents)
                self.assertEqual(said.count("ubyte.gz"), 4)
                self.assertNotIn("ubyte.gz", self.fetch(name, str(folder)), "nothing is fetched again")

    def test_a_damaged_file_is_fetched_again(self) -> None:
        contents = {file: self.offer(file, gzip.compress(file.encode() * 1000)) for file in IDX}
        folder = self.place / "f"
        self.fetch("mnist", "f")
        (folder / IDX[2]).write_bytes(contents[IDX[2]][:-3])
        self.assertEqual(self.fetch("mnist", "f").count("ubyte.gz"), 1)
        self.assertEqual((folder / IDX[2]).read_bytes(), contents[IDX[2]])

    def test_what_was_begun_is_continued(self) -> None:
        """With ranges (file://) from where it was, without from the beginning; what was whole already is taken."""
        for serve in (False, True):
            if serve:
                self.serve()
            contents = {file: self.offer(file, gzip.compress(file.encode() * 1000)) for file in IDX}
            folder = self.place / f"begun-{serve}"
            folder.mkdir()
            for size, file in zip((10, 0, len(contents[IDX[2]]), 20), IDX):
                (folder / (file + ".part")).write_bytes(contents[file][:size])
            self.fetch("mnist", str(folder))
            self.assertEqual({path.name: path.read_bytes() for path in folder.iterdir()}, contents)

    def test_another_file_never_gets_the_name(self) -> None:
        for file in IDX:
            self.offer(file, gzip.compress(file.encode() * 1000))
        (self.store / IDX[1]).write_bytes(b"a page that asks for a login")
        self.fetch("mnist", "f", expect=1, says=(IDX[1], "is not the file of checksum", "deleted"))
        self.assertEqual([path.name for path in (self.place / "f").iterdir()], [IDX[0]])
        (self.store / IDX[1]).unlink()
        self.fetch("mnist", "f", expect=1, says=(IDX[1], "could not be fetched", "call it again"))

    def test_archives(self) -> None:
        for name, archive, inside in (("cifar10", "cifar-10-binary.tar.gz", "cifar-10-batches-bin"),
                                      ("cifar100", "cifar-100-binary.tar.gz", "cifar-100-binary")):
            self.offer_archive(archive, inside)
            folder = self.place / "d" / name
            self.fetch(name, str(folder), says=(f"--data.source {name} --data.path {folder / inside}",))
            self.assertEqual([path.name for path in folder.iterdir()], [inside])
            self.assertEqual(sorted(path.name for path in (folder / inside).iterdir()),
                             ["MD5SUMS", "data_batch_1.bin", "test_batch.bin"])
            self.assertEqual((folder / inside / "test_batch.bin").read_bytes(), b"test_batch.bin".ljust(50000, b"x"))
            self.assertNotIn(archive, self.fetch(name, str(folder)), "verified, not fetched again")
            (folder / inside / "test_batch.bin").write_bytes(b"damaged")
            self.fetch(name, str(folder), expect=1, says=(inside, "is damaged", "move it away"))

    def test_an_archive_of_something_else(self) -> None:
        self.offer_archive("cifar-10-binary.tar.gz", "another-folder")
        self.fetch("cifar10", "d", expect=1, says=("holds no folder cifar-10-batches-bin",))
        self.assertEqual([path.name for path in (self.place / "d").iterdir()], ["cifar-10-binary.tar.gz"])
        self.offer("cifar-10-binary.tar.gz", b"no archive")
        self.fetch("cifar10", "e", expect=1, says=("cannot be unpacked",))
        self.assertEqual([path.name for path in (self.place / "e").iterdir()], ["cifar-10-binary.tar.gz"])

    def test_wrong_usage(self) -> None:
        for arguments in ((), ("svhn",), ("mnist", "a", "b"), ("mnist", "")):
            self.fetch(*arguments, expect=2, says=("usage: tools/fetch_data.sh",))


if __name__ == "__main__":
    unittest.main()
