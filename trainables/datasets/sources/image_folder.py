"""Folders of images: `class/image` or `split/class/image`."""

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from trainables.datasets.options import AddOptions
from trainables.datasets.sources.source import (
    Format,
    Source,
    SourceImage,
    group_of_name,
    refuse_class_names,
)
from trainables.datasets.sources.split_words import split_of_word
from trainables.errors import DatasetError
from trainables.printable import cut, printable

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}


def read_image_folder(root: Path, options: AddOptions) -> Source:
    """The images below `root`, labelled by the name of their class folder; classes are sorted by name.

    A class folder may hold folders of its own. Images beside the class folders have no label. Hidden files
    and other files are ignored. Raises DatasetError if only some of the folders are splits.
    """
    class_roots: Mapping[Path, str | None] = _split_folders(root) or {root: None}
    classes = tuple(sorted({folder.name for class_root in class_roots for folder in _folders(class_root)}))
    refuse_class_names(options, classes)
    if not options.follow_links:
        _refuse_links(root, class_roots)
    return Source(
        description=str(root.resolve()),
        classes=classes,
        images=_images(root, class_roots, classes, options.group_pattern),
        num_images=sum(1 for _ in _images(root, class_roots, classes, None)),
        needs_groups=options.group_pattern is not None,
    )


FORMAT = Format(
    looks_like="a folder with class/image or split/class/image",
    has_columns=False,
    has_file_names=True,
    is_at=lambda path: path.is_dir() and any(next(_image_files(folder), None) for folder in _folders(path)),
    read=read_image_folder,
)


def _split_folders(root: Path) -> dict[Path, str]:
    splits = {folder: split for folder in _folders(root) if (split := split_of_word(folder.name)) is not None}
    if not any(_folders(folder) for folder in splits):
        # A folder called `train` that holds images directly is a class (of vehicles), not a split.
        return {}
    for folder in _folders(root):
        if folder not in splits and next(_image_files(folder), None):
            raise DatasetError(
                f"{root} has folders of splits, but {folder.name!r} is none; name it train, validation or "
                "test, or move it away"
            )
    return splits


def _images(
    root: Path, class_roots: Mapping[Path, str | None], classes: tuple[str, ...], group_pattern: str | None
) -> Iterator[SourceImage]:
    label_of_class = {name: label for label, name in enumerate(classes)}
    for parent in dict.fromkeys([root, *class_roots]):
        for path in _loose_images(parent):
            yield SourceImage(name=str(path.relative_to(root)), load=partial(_content, path), label=None)
    for class_root, split in class_roots.items():
        for folder in _folders(class_root):
            for path in _image_files(folder):
                label = label_of_class[folder.name]
                yield SourceImage(
                    name=str(path.relative_to(root)),
                    load=partial(_content, path),
                    label=label,
                    split=split,
                    group=None if group_pattern is None else group_of_name(path.name, group_pattern),
                )


def _content(path: Path) -> bytes:
    """The bytes of a file; a pipe or a device, which might never end, is none. Raises OSError."""
    if not path.is_file():
        raise OSError(f"{path} is no file")
    return path.read_bytes()


def _refuse_links(root: Path, class_roots: Mapping[Path, str | None]) -> None:
    """Raises DatasetError for links to folders, and for links to files outside of `root`."""
    folders = [folder for parent in dict.fromkeys([root, *class_roots]) for folder in _folders(parent)]
    files = (path for folder in folders for path in _image_files(folder) if folder not in class_roots)
    links = [path for path in folders if path.is_symlink()]
    links += [path for path in files if path.is_symlink() and not _lies_in(root, path)]
    if links:
        first = cut(printable(f"{links[0].relative_to(root)} → {os.path.realpath(links[0])}"), 200)
        raise DatasetError(
            f"{len(links):,} symbolic links of {root} lead out of it or to a folder ({first}); put the "
            "images there, or follow all links with --follow-links"
        )


def _lies_in(root: Path, path: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir() and not _is_hidden(path.name))


def _loose_images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and _is_image(path.name))


def _image_files(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder, onerror=_raise):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        yield from (Path(parent) / name for name in sorted(files) if _is_image(name))


def _raise(error: OSError) -> None:
    raise error


def _is_image(file_name: str) -> bool:
    return not _is_hidden(file_name) and Path(file_name).suffix.lower() in IMAGE_SUFFIXES


def _is_hidden(name: str) -> bool:
    return name.startswith(".")
