"""Bodies read strictly: a member nobody knows is refused, and a value of another type is not turned into the right one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers


class Input(
    serializers.Serializer[Any]
):  # what a caller sends; its docstring would be every body's description
    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = sorted(str(name)[:80] for name in data if name not in self.fields)
            if unknown:
                raise serializers.ValidationError({name: ["There is no such member."] for name in unknown})
        return super().to_internal_value(data)


class Text(serializers.CharField):
    """A JSON string."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Whole(serializers.IntegerField):
    """A JSON integer."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class Flag(serializers.BooleanField):
    """true or false."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Id(serializers.UUIDField):
    """A UUID in its usual form."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or len(data) != 36:
            self.fail("invalid", value=str(data)[:80])
        return super().to_internal_value(data)


class Moment(serializers.DateTimeField):
    """ISO 8601 with its offset; without one it could mean any place on earth."""

    default_error_messages = {"no_offset": "This needs an offset, such as Z."}

    def to_internal_value(self, value: Any) -> Any:
        if not isinstance(value, str):
            self.fail("invalid", format="ISO 8601")
        return super().to_internal_value(value)

    def enforce_timezone(self, value: Any) -> Any:
        if value.tzinfo is None:
            self.fail("no_offset")
        try:
            return super().enforce_timezone(value)
        except OverflowError:
            self.fail("overflow")


class Day(serializers.DateField):
    """A calendar day, ISO 8601."""

    def to_internal_value(self, value: Any) -> Any:
        if not isinstance(value, str):
            self.fail("invalid", format="YYYY-MM-DD")
        return super().to_internal_value(value)


class Word(serializers.ChoiceField):
    """One of a closed list of strings."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid_choice", input=str(data)[:80])
        return str(super().to_internal_value(data))
