"""A configuration from fields on a command line, and from YAML or JSON files."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from .config import RunConfig
from .errors import WorkbookError
from .home import exists, expanded


def read_config(parts: Sequence[str]) -> RunConfig:
    """A configuration from `field=value` (values as in YAML) and YAML or JSON files.

    Later parts replace earlier ones. A file may say `extends: other.yaml`, relative to its own
    folder: the fields of that file come first, and a field that both have is replaced whole.

    Raises WorkbookError for a part that is neither, for an `extends` that names no file or leads
    back to a file that was read, and for fields or values that RunConfig refuses.
    """
    given = {}
    for part in parts:
        given |= _read_part(part)
    return RunConfig(**given)


def _read_part(part: str) -> dict:
    name, equals, value = part.partition("=")
    if equals and not exists(part):
        if name == "extends":
            raise WorkbookError(
                f"{part!r}: only a file can say extends; name the file itself before the fields "
                f"that replace its own, e.g. {value or 'base.yaml'} seed=42"
            )
        return {name: _parsed(part, lambda: value)}
    if not (exists(part) and expanded(part).is_file()):
        raise WorkbookError(f"{part!r} is neither field=value nor a file")
    return _read_file(expanded(part), [])


def _read_file(path: Path, earlier: Sequence[Path]) -> dict:
    """The fields of a file, and of those that it extends; `earlier` files have led to it."""
    is_json = path.suffix.lower() == ".json"
    content = _parsed(str(path), lambda: path.read_text(encoding="utf-8"), is_json)
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise WorkbookError(f"{path}: expected fields of RunConfig with their values")
    if "extends" not in content:
        return content
    base = content.pop("extends")
    if not isinstance(base, str):
        raise WorkbookError(
            f"{path}: extends={base!r}; expected the path of one file, relative to this one"
        )
    extended, chain = path.parent / expanded(base), [*earlier, path]
    if not (exists(extended) and extended.is_file()):
        raise WorkbookError(
            f"{path}: extends {base!r}, but there is no file {extended}; "
            "the path starts at the folder of the file that says it"
        )
    if extended.resolve() in [file.resolve() for file in chain]:
        names = " -> ".join(str(file) for file in [*chain, extended])
        raise WorkbookError(f"extends leads in a circle: {names}; remove one extends")
    return _read_file(extended, chain) | content


def _parsed(where: str, read: Callable[[], str], is_json: bool = False) -> object:
    """What a YAML or JSON text holds; raises WorkbookError where it can't be read."""
    try:
        text = read()
        return json.loads(text, object_pairs_hook=_once) if is_json else parse_yaml(text)
    except WorkbookError as error:
        raise WorkbookError(f"{where[:200]}: {error}") from None
    except (ValueError, RecursionError) as error:  # bytes that aren't UTF-8
        kind = "JSON" if is_json else "YAML"
        raise WorkbookError(f"{where[:200]}: not {kind}: {error}") from None


def _once(pairs: Sequence[tuple[str, object]]) -> dict:
    """A JSON object; raises WorkbookError for a key that stands twice, which json lets pass."""
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise WorkbookError(f"key {key!r} stands twice in one place")
    return dict(pairs)


def parse_yaml(text: str) -> object:
    """The content of a YAML text, in which 3e-5 is a number.

    Raises WorkbookError if it is none or repeats a key.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """Refuses a key that occurs twice in one mapping; PyYAML would keep the last one."""

        def construct_mapping(self, node, deep=False):
            keys = [key.value for key, _ in node.value if key.value != "<<"]
            for key in keys:
                if keys.count(key) > 1:
                    place = f"line {node.start_mark.line + 1}"
                    raise WorkbookError(f"key {key!r} stands twice in one place ({place})")
            return super().construct_mapping(node, deep)

    # YAML 1.2 reads 3e-5 as a number, PyYAML as text
    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+[eE][-+]?\d+$"), list("-+0123456789")
    )
    try:
        return yaml.load(text, Loader)
    except WorkbookError:
        raise
    except (yaml.YAMLError, ValueError) as error:  # a ValueError for the date 2026-13-45
        raise WorkbookError(f"not YAML: {error}") from None
    except RecursionError:
        raise WorkbookError("not YAML: nested too deeply") from None
