"""Fills in any form of the product as a person in a hurry would: a new name, the first choice, the rest as it is."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django import forms

NAMES = ("name", "label")


def filled(form: forms.Form) -> dict[str, Any]:
    """What a browser would send of `form` after its empty required fields were filled in."""
    sent = {}
    for name, field in form.fields.items():
        value = form.get_initial_for_field(field, name)
        if value in (None, "", []):
            value = _answer(field)
        elif name in NAMES:
            value = f"{value} {uuid4().hex[:6]}"
        prepared = form[name].field.prepare_value(value)
        if isinstance(field, forms.BooleanField):
            if prepared:
                sent["on" if name == "" else name] = "on"
        elif prepared not in (None, []):
            shown = field.widget.format_value(prepared) if hasattr(field.widget, "format_value") else prepared
            sent[form.add_prefix(name)] = shown if shown is not None else ""
    return sent


def _answer(field: forms.Field) -> Any:
    if isinstance(field, forms.MultipleChoiceField):
        return [_values(field)[0]] if field.required else []
    if isinstance(field, forms.ChoiceField):
        return next((value for value in _values(field) if value), "") if field.required else ""
    if not field.required:
        return None
    if isinstance(field, forms.IntegerField):
        return field.min_value or 1
    if isinstance(field, forms.EmailField):
        return f"{uuid4().hex[:8]}@example.com"
    if isinstance(field, forms.UUIDField):
        return uuid4()
    return f"Written {uuid4().hex[:8]}"


def _values(field: forms.ChoiceField) -> list[str]:
    return [str(value) for value, label in field.choices if not isinstance(label, (list, tuple))] or [
        str(value) for _, group in field.choices for value, _ in group
    ]
