"""The sections of config.yaml that say what happens to an instance: rules, and what they look at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from node.config_faults import Allowed
from node.names import pattern
from node.settings import ALL, Name, OperatingPoints, Patterns, Settings, bundle_in_folder, listed

#: Among a rule's destinations: where the sender of the exam has its own.
SENDER = "@sender"


def _readable(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for each in patterns:
        try:
            expression(each)
        except re.error as error:
            raise ValueError(str(error)) from error
    return patterns


@lru_cache(maxsize=1024)
def expression(written: str) -> re.Pattern[str]:
    """What a whole text must match: /…/ is a regular expression to be found in it, all else itself with * and ?."""
    if len(written) > 2 and written.startswith("/") and written.endswith("/"):
        return re.compile(f"(?s:.*?)(?:{written[1:-1]})(?s:.*)", re.IGNORECASE)
    return re.compile(pattern(written).pattern, re.IGNORECASE | re.DOTALL)


Matching = Annotated[
    tuple[str, ...],
    BeforeValidator(listed),
    AfterValidator(_readable),
    Allowed(
        "a text or a list of texts, in quotes where they are numbers; in each * stands for any characters and ? for "
        "one, or the whole is a regular expression between slashes"
    ),
]
Status = Annotated[
    int,
    Field(ge=0x0100, le=0xCFFF),
    Allowed("a failure of the storage service: 0x0122, 0x0124, or one of 0xA700–0xA7FF, 0xA900–0xA9FF, 0xC000–0xCFFF"),
]
#: PS3.4 Table B.2-1: failures as first and last; others would be taken for success, or for nothing known.
FAILURES = ((0x0122, 0x0122), (0x0124, 0x0124), (0xA700, 0xA7FF), (0xA900, 0xA9FF), (0xC000, 0xCFFF))


class Days(Settings):
    """A range of days, both ends included; null is no limit."""

    minimum: int | None = Field(default=None, description="At least this many days.")
    maximum: int | None = Field(default=None, description="At most this many days.")

    def holds(self, days: int) -> bool:
        """Whether so many days are within it."""
        return (self.minimum is None or days >= self.minimum) and (self.maximum is None or days <= self.maximum)

    @property
    def told(self) -> str:
        """In words."""
        if self.minimum is None or self.maximum is None:
            low = f"at least {self.minimum}" if self.minimum is not None else "any"
            return f"at most {self.maximum}" if self.maximum is not None else low
        return f"{self.minimum} to {self.maximum}"


class When(Settings):
    """What an instance must be for a rule to apply: every key that is given must match, by any of its patterns.

    Letters count alike in upper and lower case. An element that is absent counts as the text "". Where an instance
    has several values, such as codes, one that matches is enough.
    """

    calling_ae_title: Matching = Field(default=(), description="Calling AE title of the sender.")
    sop_class_uid: Matching = Field(default=(), description="SOP Class UID (0008,0016).")
    modality: Matching = Field(default=(), description="Modality (0008,0060).")
    presentation_intent_type: Matching = Field(
        default=(), description="Presentation Intent Type (0008,0068): FOR PRESENTATION or FOR PROCESSING."
    )
    manufacturer: Matching = Field(default=(), description="Manufacturer (0008,0070).")
    manufacturer_model_name: Matching = Field(default=(), description="Manufacturer's Model Name (0008,1090).")
    institution_name: Matching = Field(default=(), description="Institution Name (0008,0080).")
    station_name: Matching = Field(default=(), description="Station Name (0008,1010).")
    study_description: Matching = Field(default=(), description="Study Description (0008,1030).")
    series_description: Matching = Field(default=(), description="Series Description (0008,103E).")
    procedure_code: Matching = Field(
        default=(),
        description="Codes of the procedure, as CODE or SCHEME:CODE: Procedure (0008,1032), Requested Procedure "
        "(0032,1064), Performed Protocol (0040,0260) and Scheduled Protocol (0040,0008) Code Sequences.",
    )
    view_code: Matching = Field(
        default=(),
        description="Codes of the view and its modifiers, as CODE or SCHEME:CODE: View (0054,0220) and View Modifier "
        "(0054,0222) Code Sequences.",
    )
    study_age_days: Days | None = Field(
        default=None, description="Days since Study Date (0008,0020), today being 0; without a date it does not match."
    )


class Rule(Settings):
    """What happens to an instance. Rules are tried in order and the first that matches decides."""

    name: Name = Field(description="The rule's name, as logs and pages show it.")
    when: When = Field(default=When(), description="What the instance must be; empty matches everything.")
    action: Literal["read", "store", "refuse"] = Field(
        default="read", description="read: store, and read the exam; store: keep it only; refuse: do not accept it."
    )
    reading: Name | None = Field(
        default=None, description="read: how, by a name under `readings`; null: as `reading` says."
    )
    destinations: Patterns = Field(
        default=(ALL,),
        description='Destinations of the results of a read exam; "*" is all, "@sender" those that lead back to the '
        "exam's sender.",
    )
    forward: Patterns = Field(
        default=(), description="read, store: destinations that get the instance itself, as it came."
    )
    priority: Literal["urgent", "routine", "archive"] = Field(
        default="routine",
        description="Of a read exam: an urgent one goes before those of the last hour, one of the archive after those "
        "of the next day.",
    )
    status: Status | None = Field(
        default=None, description="refuse: the DIMSE status of the answer (PS3.4 B.2.3); null: 0x0122."
    )
    http_status: Annotated[int | None, Field(ge=400, le=599), Allowed("a code from 400 to 599, or null")] = Field(
        default=None,
        description="refuse: the code of a STOW-RS answer when rules refused all its instances with the same one; "
        "null: 409.",
    )


class OtherReading(Settings):
    """Another way to read, which routing rules may choose. What is null is as in `reading`, and so is all else."""

    bundles: tuple[Annotated[str, AfterValidator(bundle_in_folder)], ...] | None = Field(
        default=None, description="Model bundles."
    )
    strategy: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="Way of turning model outputs into a reading."
    )
    strategy_options: Mapping[str, Any] | None = Field(
        default=None, description="The strategy's own options; null, and another strategy: none."
    )
    operating_points: OperatingPoints | None = Field(default=None, description="The triage thresholds.")
