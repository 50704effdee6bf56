"""The form every page's forms build on: plain messages, and the domain's refusals under the field at fault."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, QueryDict
from django.utils.datastructures import MultiValueDict

from foundation.errors import DomainError
from portal import htmx

REQUIRED = "Fill this in."


class Form(forms.Form):
    """`carry_out` runs the domain call and keeps its refusal as a message of the form."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": "field-%s", **kwargs})
        for field in self.fields.values():
            field.error_messages = {**field.error_messages, "required": REQUIRED}

    def carry_out(self, change: Callable[[dict[str, Any]], Any]) -> Any:
        """The result of `change(cleaned data)`; None where the input or the domain says no."""
        if not self.is_valid():
            return None
        try:
            return change(self.cleaned_data)
        except DomainError as error:
            htmx.blame(self, error)
            return None


class LocalMoment(forms.DateTimeField):
    """A day and time as people of a place write it; cleaned to an aware moment."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")

    def __init__(self, *, zone: str, **kwargs: Any) -> None:
        super().__init__(input_formats=["%Y-%m-%dT%H:%M"], **kwargs)
        self.zone = ZoneInfo(zone)

    def prepare_value(self, value: Any) -> Any:
        return value.astimezone(self.zone).replace(tzinfo=None) if isinstance(value, datetime) else value

    def to_python(self, value: Any) -> datetime | None:
        written = forms.DateTimeField.to_python(self, value)
        return written.replace(tzinfo=self.zone) if written else None


class _SeveralFiles(forms.ClearableFileInput):
    allow_multiple_selected = True
    template_name = "django/forms/widgets/file.html"  # there is nothing to clear


class FilesField(forms.FileField):
    """Some files in one input; cleaned to a list of them."""

    widget = _SeveralFiles

    def clean(self, data: Any, initial: Any = None) -> list[UploadedFile[Any]]:
        given = data if isinstance(data, list | tuple) else [data] if data else []
        if not given:
            super().clean(None, initial)
            return []
        return [super(FilesField, self).clean(each, initial) for each in given]


def files_of(request: HttpRequest) -> MultiValueDict[str, UploadedFile[Any]] | None:
    return request.FILES if request.method == "POST" else None


def posted(request: HttpRequest) -> QueryDict | None:
    """What a form is bound to: what was sent, however empty, or nothing yet."""
    return request.POST if request.method == "POST" else None


def choose(form: forms.Form, name: str, offered: list[tuple[str, str]]) -> None:
    """What a choice of this request offers."""
    field = form.fields[name]
    assert isinstance(field, forms.ChoiceField)
    field.choices = offered


def initial_choice(label: str, choices: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [("", label), *choices]
