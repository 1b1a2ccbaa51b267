"""Runs in an official client's own environment and does there what it is told, line by line.

One JSON object a line on stdin, one on stdout. Nothing here knows the client: names are imported,
called with what the line says, and what comes back is shown or kept.

```
{"call": "module:attribute" | "@kept.method", "args": […], "kwargs": {…}, "keep": "name" | null}
→ {"result": …} | {"error": {"type": …, "text": …, …attributes}}
arguments may be   {"$call": …, "args", "kwargs"}   the result of a call
                   {"$name": "module:attribute"}    an imported thing
                   {"$kept": "name"}                a kept one
```
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import inspect
import json
import logging
import operator
import sys
from typing import Any

kept: dict[str, Any] = {}


def named(name: str) -> Any:
    """Return what `module:attribute.path` or `@kept.attribute.path` names."""
    if name.startswith("@"):
        head, _, path = name[1:].partition(".")
        found = kept[head]
    else:
        module, _, path = name.partition(":")
        found = importlib.import_module(module)
    return operator.attrgetter(path)(found) if path else found


def value_of(argument: Any) -> Any:
    """Return an argument with the things it names put in."""
    if isinstance(argument, list):
        return [value_of(item) for item in argument]
    if not isinstance(argument, dict):
        return argument
    if "$call" in argument:
        return call(argument["$call"], argument)
    if "$name" in argument:
        return named(argument["$name"])
    if "$kept" in argument:
        return named("@" + argument["$kept"])
    return {name: value_of(item) for name, item in argument.items()}


def call(name: str, line: dict[str, Any]) -> Any:
    """Return the result of a call; a plain attribute is its own result."""
    target = named(name)
    if not callable(target):
        return target
    keywords = {key: value_of(item) for key, item in line.get("kwargs", {}).items()}
    return target(*[value_of(item) for item in line.get("args", [])], **keywords)


def shown(value: Any) -> Any:
    """Return a value as JSON can show it."""
    if hasattr(value, "model_dump"):
        return {"class": type(value).__name__, **value.model_dump(mode="json")}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: shown(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): shown(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return str(value)


def failure(error: BaseException) -> dict[str, Any]:
    """Return an exception with its public attributes."""
    public = {name: shown(item) for name, item in vars(error).items() if name[0] != "_"}
    return {**public, "type": type(error).__name__, "text": str(error)}


async def serve() -> None:
    """Do every line until stdin ends."""
    loop = asyncio.get_running_loop()
    while text := await loop.run_in_executor(None, sys.stdin.readline):
        line = json.loads(text)
        answer: dict[str, Any] = {}
        try:
            result = call(line["call"], line)
            if inspect.isawaitable(result):
                result = await asyncio.wait_for(result, 30)
            if line.get("keep"):
                kept[line["keep"]] = result
            else:
                answer["result"] = shown(result)
        except Exception as error:  # noqa: BLE001  whatever it is, the test wants to see it
            answer["error"] = failure(error)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(serve())
