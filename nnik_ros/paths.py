"""Where the package's own data lies: in the source tree, or in the share folder of an installation."""

from __future__ import annotations

from pathlib import Path

from nnik_ros.errors import InputError


def share_dir() -> Path:
    """The folder that holds config/, models/, urdf/ and launch/.

    Raises:
        InputError: neither beside the package nor in a share folder above it.
    """
    package = Path(__file__).resolve().parent
    candidates = [package.parent, *(parent / "share" / "nnik_ros" for parent in Path(__file__).absolute().parents)]
    for candidate in candidates:
        if (candidate / "config" / "robots").is_dir():
            return candidate
    raise InputError(f"the data of nnik_ros was not found; looked in {', '.join(map(str, candidates))}")


def robot_file(name: str) -> Path:
    """A shipped robot by its name, or any file by its path. Raises InputError, listing the shipped names."""
    return _resolve(name, "robot", share_dir() / "config" / "robots", ".yaml")


def driver_file(name: str) -> Path:
    """A shipped driver profile by its name, or any file by its path. Raises InputError, listing the shipped names."""
    return _resolve(name, "driver", share_dir() / "config" / "drivers", ".yaml")


def model_file(name: str) -> Path:
    """A shipped network by its name, or any file by its path. Raises InputError, listing the shipped names."""
    return _resolve(name, "model", share_dir() / "models", ".onnx")


def given_path(name: str) -> Path:
    """A path as somebody gave it, `~` being a home folder.

    Raises:
        InputError: nobody can look there: a home of no user, a folder that may not be entered, a name that is too long.
    """
    try:
        path = Path(name).expanduser()
        path.exists()
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "there is no such home folder"
        raise InputError(f"'{name}' cannot be looked at: {reason}") from error
    return path


def shipped(folder: Path, suffix: str) -> list[str]:
    """Names of the shipped files of one kind."""
    return sorted(path.stem for path in folder.glob(f"*{suffix}"))


def _resolve(name: str, what: str, folder: Path, suffix: str) -> Path:
    if name.endswith(suffix) or "/" in name:
        path = given_path(name)
        if path.is_file():
            return path
        raise InputError(f"{what} '{name}': {'is a folder' if path.is_dir() else 'there is no such file'}")
    if name in shipped(folder, suffix):
        return folder / f"{name}{suffix}"
    names = ", ".join(shipped(folder, suffix)) or "none"
    raise InputError(f"{what} '{name}' is unknown; shipped: {names}; or give the path of a {suffix} file")
