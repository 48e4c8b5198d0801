#!/usr/bin/env python3
"""Makes the HDF5 file that gradscape reads with data.source = "hdf5" (docs/guide/own-data.md):

    from_arrays.py data.npz -o data.h5              arrays images, labels or targets; x_train, y_train and the like
    from_arrays.py pictures/ -o data.h5 --size 32x32      a folder for each class, as torchvision's ImageFolder has them;
                                                    with folders train/ and test/ (or val/): both sets
    from_arrays.py cifar-10-batches-py/ -o data.h5  CIFAR-10 or CIFAR-100 for Python (--labels coarse: 20 classes)

Needs numpy and h5py; for pictures Pillow too. The CIFAR files are pickles, which can run any program when they are read: only
NumPy's arrays are admitted in them, and a file that asks for anything else is refused.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pickle
import re
import sys
import zipfile
from pathlib import Path

try:
    import h5py
    import numpy as np
except ImportError as failure:
    if __name__ != "__main__":
        raise
    module = (failure.name or "numpy").split(".")[0]
    sys.exit(f"from_arrays: no Python module {module}: apt install python3-{module}, and run with /usr/bin/python3")

# What NPZ files call the arrays: Keras's, MedMNIST's and our own names.
NAMES = {"images": ("images", "x_train", "X_train", "train_images", "x", "X", "data"),
         "labels": ("labels", "y_train", "Y_train", "train_labels", "y", "Y"),
         "targets": ("targets", "train_targets"),
         "test_images": ("test_images", "x_test", "X_test"),
         "test_labels": ("test_labels", "y_test", "Y_test"),
         "test_targets": ("test_targets",)}
PICTURES = (".png", ".jpg", ".jpeg", ".ppm", ".pgm", ".bmp", ".tif", ".tiff", ".webp")
BLOCK = 256  # pictures in memory at a time


class Refusal(Exception):
    """Why something cannot be taken: where, what, and what to do about it."""

    def __init__(self, where, what: str, cure: str = ""):
        super().__init__(f"{where}: {what}" + (f"; {cure}" if cure else ""))


def say(text: str) -> None:
    print(f"from_arrays: {text}", file=sys.stderr)


# --- arrays ---


def image_array(where, images: np.ndarray, layout: str) -> tuple[np.ndarray, str]:
    """As the file shall have them, with their layout."""
    if images.dtype == bool:
        images = images.astype(np.uint8)
    elif images.dtype.kind in "iu" and images.dtype != np.uint8:
        if images.size and (images.min() < 0 or images.max() > 255):
            raise Refusal(where, f"images are {images.dtype} and not all within 0 to 255", "astype(np.float32) first")
        images = images.astype(np.uint8)
    elif images.dtype == np.float16:
        images = images.astype(np.float32)
    if images.dtype not in (np.uint8, np.float32, np.float64):
        raise Refusal(where, f"images are {images.dtype}", "uint8, float32 or float64")
    if images.ndim == 3:
        return images[:, None], "NCHW"
    if images.ndim != 4:
        raise Refusal(where, f"images are {list(images.shape)}", "[N, C, H, W], [N, H, W, C] or [N, H, W]")
    if layout == "auto":
        first, last = images.shape[1] in (1, 3, 4), images.shape[3] in (1, 3, 4)
        if first and last:
            raise Refusal(where, f"images are {list(images.shape)}: which extent counts the channels?", "--layout NCHW or NHWC")
        layout = "NHWC" if last else "NCHW"
    return images, layout


def label_array(where, labels: np.ndarray) -> np.ndarray:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise Refusal(where, f"labels are {labels.dtype} {list(labels.shape)}",
                      "whole numbers [N]; of one-hot labels np.argmax(labels, axis=1); numbers to fit are called targets")
    return labels.astype(np.int64)


def from_npz(path: Path, layout: str, put) -> None:
    try:
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.ndarray):  # which is no context manager
            raise Refusal(path, "is one array, not an archive of several", "gradscape reads NPY files itself: docs/guide/own-data.md")
        with file:
            given = {ours: next((name for name in names if name in file.files), None) for ours, names in NAMES.items()}
            if given["images"] is None:
                raise Refusal(path, f"has arrays {', '.join(file.files)}, none of them called "
                              + " or ".join(NAMES["images"][:4]), "np.savez(path, images=…, labels=…)")
            if given["labels"] is None and given["targets"] is None:
                raise Refusal(path, f"has arrays {', '.join(file.files)}, and neither labels nor targets",
                              "np.savez(path, images=…, labels=…)")
            for ours, name in given.items():
                if name is None:
                    continue
                values = file[name]
                where = f"{path}: {name}"
                if ours.endswith("images"):
                    put(ours, *image_array(where, values, layout))
                elif ours.endswith("labels"):
                    put(ours, label_array(where, values))
                elif values.ndim == 2 and values.dtype.kind in "fiu":
                    put(ours, values.astype(np.float64))
                else:
                    raise Refusal(where, f"targets are {values.dtype} {list(values.shape)}", "numbers [N, K]")
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        text = str(error)
        cure = "arrays of numbers only: objects are pickles, which are not read" if "pickle" in text else "np.savez writes it"
        raise Refusal(path, f"cannot be read: {text}", cure) from error


# --- CIFAR for Python ---


class ArraysOnly(pickle.Unpickler):
    """Makes lists, dictionaries, texts, numbers and NumPy's arrays, and refuses to look up any other function."""

    ADMITTED = {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")} | {
        (f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")}

    def find_class(self, module: str, name: str):
        if (module, name) in self.ADMITTED:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def unpickled(path: Path) -> dict:
    try:
        with open(path, "rb") as file:
            content = ArraysOnly(file, encoding="bytes").load()
    except Exception as error:  # a damaged pickle raises almost anything
        raise Refusal(path, f"is refused: {error}", "a pickle of CIFAR holds NumPy arrays and lists, nothing else") from error
    if not isinstance(content, dict):
        raise Refusal(path, "is no CIFAR file for Python: it holds no dictionary")
    return {key.decode() if isinstance(key, bytes) else key: value for key, value in content.items()}


def cifar_set(paths: list[Path], labels: str) -> tuple[np.ndarray, np.ndarray]:
    images, numbers = [], []
    for path in paths:
        content = unpickled(path)
        data = content.get("data")
        answers = content.get(labels)
        if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072:
            raise Refusal(path, "has no data of uint8 [N, 3072]")
        if answers is None or len(answers) != len(data):
            raise Refusal(path, f"has no {labels} for its {len(data)} images")
        images.append(data.reshape(-1, 3, 32, 32))
        numbers.append(label_array(path, np.asarray(answers)))
    return np.concatenate(images), np.concatenate(numbers)


def from_cifar(folder: Path, labels: str, put) -> None:
    batches = [folder / f"data_batch_{i}" for i in range(1, 6)]
    if batches[0].is_file():
        missing = [path.name for path in batches if not path.is_file()]
        if missing:
            say(f"{folder}: {', '.join(missing)} are not there, the others are taken")
        sets = {"": [path for path in batches if path.is_file()], "test_": [folder / "test_batch"]}
        key = "labels"
    else:
        sets, key = {"": [folder / "train"], "test_": [folder / "test"]}, f"{labels}_labels"
    for prefix, paths in sets.items():
        if prefix and not paths[0].is_file():
            continue
        images, numbers = cifar_set(paths, key)
        put(prefix + "images", images, "NCHW")
        put(prefix + "labels", numbers)


# --- pictures ---


def from_pictures(folder: Path, size: tuple[int, int] | None, grey: bool, create, put) -> None:
    sets = {"": folder}
    if (folder / "train").is_dir():
        sets = {"": folder / "train"}
        test = next((folder / name for name in ("test", "val") if (folder / name).is_dir()), None)
        if test is not None:
            sets["test_"] = test
    classes = sorted(entry.name for entry in sets[""].iterdir() if entry.is_dir())
    if not classes:
        raise Refusal(sets[""], "has no folders of pictures", "one folder for each class: cat/, dog/")
    shape = size
    for prefix, place in sets.items():
        files, numbers = listed_pictures(place, classes)
        shape = shape or read_picture(files[0], None, grey).shape[1:]
        into = create(prefix + "images", (len(files), 1 if grey else 3, *shape))
        for first in range(0, len(files), BLOCK):
            paths = files[first:first + BLOCK]
            block = [read_picture(path, size, grey) for path in paths]
            for path, (_, height, width) in zip(paths, (pixels.shape for pixels in block)):
                if (height, width) != tuple(shape):
                    raise Refusal(path, f"has {height}x{width} pixels, and others {shape[0]}x{shape[1]}",
                                  f"--size {shape[0]}x{shape[1]} makes them alike")
            into[first:first + len(block)] = block
        put(prefix + "labels", np.array(numbers, np.int64))
    for number, name in enumerate(classes):
        say(f"class {number}: {name}")


def listed_pictures(place: Path, classes: list[str]) -> tuple[list[Path], list[int]]:
    """The pictures in the classes' folders, and the number of each one's class."""
    unknown = sorted(entry.name for entry in place.iterdir() if entry.is_dir() and entry.name not in classes)
    if unknown:
        raise Refusal(place, f"has classes without training pictures: {', '.join(unknown)}")
    files, numbers, left_out = [], [], 0
    for number, name in enumerate(classes):
        inside = sorted(path for path in (place / name).rglob("*") if path.is_file()) if (place / name).is_dir() else []
        pictures = [path for path in inside if path.suffix.lower() in PICTURES]
        left_out += len(inside) - len(pictures)
        files += pictures
        numbers += [number] * len(pictures)
    if not files:
        raise Refusal(place, "holds no pictures", "files that end with " + " ".join(PICTURES))
    if left_out:
        say(f"{place}: {left_out} files that are no pictures are left out")
    return files, numbers


def read_picture(path: Path, size: tuple[int, int] | None, grey: bool) -> np.ndarray:
    """uint8 [1 or 3, height, width]. `size`: (height, width) to which it is brought."""
    try:
        from PIL import Image
    except ImportError as error:
        raise Refusal(path, "pictures need the Python package Pillow", "Debian: python3-pil") from error
    try:
        with Image.open(path) as picture:
            picture = picture.convert("L" if grey else "RGB")
            if size is not None and picture.size != (size[1], size[0]):
                picture = picture.resize((size[1], size[0]), Image.BILINEAR)
            pixels = np.asarray(picture, np.uint8)
    except Exception as error:  # Pillow raises many kinds
        raise Refusal(path, f"cannot be read as a picture: {error}") from error
    return pixels[None] if grey else np.moveaxis(pixels, 2, 0)


# --- the file ---


def write(source: str | Path, out: str | Path, layout: str = "auto", size: tuple[int, int] | None = None, grey: bool = False,
          labels: str = "fine", gzip: bool = False) -> None:
    """Writes the HDF5 file, or nothing where it cannot be done: Refusal says why.

    source  an NPZ file, a folder of pictures (a folder for each class), or one of CIFAR for Python
    layout  of an NPZ file's images: "NCHW", "NHWC", or "auto", by their shape
    size    (height, width) in pixels, to which all pictures are brought; grey: to one channel
    labels  of CIFAR-100: "fine" or "coarse"
    """
    source, out = Path(source), Path(out)
    if not out.name:
        raise Refusal(out, "names no file", "give one, as data.h5")
    begun = out.with_name(f".{out.name[:100]}.{os.getpid()}.tmp")
    how = {"compression": "gzip", "shuffle": True} if gzip else {}
    try:
        with h5py.File(begun, "w", libver="v110") as file:  # whose every structure has a checksum

            def create(name: str, shape: tuple) -> h5py.Dataset:
                chunks = {"chunks": (min(shape[0], 64), *shape[1:])} if gzip else {}
                return file.create_dataset(name, shape, np.uint8, **chunks, **how)

            def put(name: str, values: np.ndarray, layout: str = "NCHW") -> None:
                chunks = {"chunks": (min(len(values), 64), *values.shape[1:])} if gzip and values.ndim == 4 else {}
                data = file.create_dataset(name, data=values, **chunks, **(how if values.ndim == 4 else {}))
                if layout == "NHWC":
                    data.attrs["layout"] = layout

            if source.is_file():
                from_npz(source, layout, put)
            elif (source / "data_batch_1").is_file() or (source / "train").is_file():
                from_cifar(source, labels, put)
            elif source.is_dir():
                from_pictures(source, size, grey, create, put)
            else:
                raise Refusal(source, "does not exist")
            for prefix in ("", "test_"):
                answers = next((file[prefix + name] for name in ("labels", "targets") if prefix + name in file), None)
                if prefix + "images" not in file:
                    continue
                if answers is None:
                    raise Refusal(source, f"has {prefix}images without labels or targets")
                if len(answers) != len(file[prefix + "images"]):
                    raise Refusal(source, f"has {len(answers)} {prefix}labels or targets for "
                                          f"{len(file[prefix + 'images'])} images")
            text = ", ".join(f"{name} {list(data.shape)} {data.dtype}" for name, data in file.items())
        os.replace(begun, out)
    finally:
        with contextlib.suppress(OSError):  # what could not be begun cannot be removed: the first error counts
            begun.unlink()
    say(f"{out}: {text}")


def size_of(text: str) -> tuple[int, int]:
    if not re.fullmatch(r"[1-9]\d*x[1-9]\d*", text):
        raise argparse.ArgumentTypeError(f"{text} is no size: height x width, as 32x32")
    height, width = text.split("x")
    return int(height), int(width)


def main() -> int:
    parser = argparse.ArgumentParser(prog="from_arrays.py", description="Makes the HDF5 file of images that gradscape reads.")
    parser.add_argument("source", type=Path, help="an NPZ file, a folder of pictures, or one of CIFAR for Python")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the HDF5 file to write")
    parser.add_argument("--layout", default="auto", choices=("auto", "NCHW", "NHWC"), help="of an NPZ file's images")
    parser.add_argument("--size", type=size_of, metavar="HxW", help="of pictures: all are made that large")
    parser.add_argument("--grey", action="store_true", help="of pictures: one channel")
    parser.add_argument("--labels", default="fine", choices=("fine", "coarse"), help="of CIFAR-100")
    parser.add_argument("--gzip", action="store_true", help="compress the images")
    options = parser.parse_args()
    try:
        write(**vars(options))
    except Refusal as refusal:
        print(f"from_arrays: {refusal}", file=sys.stderr)
        return 1
    except OSError as error:
        # HDF5's errors name no file, and that of the renaming two; what names one is of the source.
        of_source = error.filename is not None and error.filename2 is None
        told = f"{error.filename}: cannot be read: {error.strerror}" if of_source else f"{options.out}: cannot be written: {error}"
        print(f"from_arrays: {told}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
