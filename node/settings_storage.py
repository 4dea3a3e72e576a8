"""Settings of what is kept, and of the work on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo

from node.config_faults import Allowed
from node.settings import FilePath, Seconds, Settings, in_folder


def _database_in_folder(url: str, info: ValidationInfo) -> str:
    prefix = "sqlite:///"
    if url.startswith(prefix) and url not in (prefix, f"{prefix}:memory:"):
        return f"{prefix}{in_folder(Path(url.removeprefix(prefix)), info)}"
    return url


class BucketSettings(Settings):
    """An S3-compatible store. Its keys are read from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, never from here."""

    name: str | None = Field(
        default=None, min_length=3, max_length=63, description="The bucket, which has to be there; null: none is used."
    )
    endpoint: Annotated[
        str,
        Field(pattern=r"^https?://[^\s/@?#]+$"),
        Allowed("a URL of scheme, host and port alone, such as https://s3.hospital.example:9000"),
    ] = Field(default="http://127.0.0.1:8333", description="The store's URL; beyond this machine https.")
    region: str = Field(default="us-east-1", min_length=1, description="The store's region, as it wants to hear it.")
    copies_bytes: int = Field(
        default=20_000_000_000, ge=0, description="Copies on this host beyond so many bytes are removed daily."
    )


class StorageSettings(Settings):
    """Where instances and their index are kept."""

    database_url: Annotated[str, AfterValidator(_database_in_folder)] = Field(
        default="sqlite:///./mammo-node-data/node.sqlite",
        min_length=1,
        repr=False,
        description="Index and work queue, as an SQLAlchemy URL: sqlite:///FILE or postgresql+psycopg://….",
    )
    object_folder: FilePath = Field(
        default=Path("mammo-node-data/objects"),
        description="Folder of the received and made files; shared by all hosts.",
    )
    bucket: BucketSettings = Field(
        default=BucketSettings(), description="Files in an S3-compatible store; object_folder then holds copies."
    )
    minimum_free_bytes: int = Field(
        default=2_000_000_000,
        ge=0,
        description="With less free disk, instances are refused (0xA700: out of resources).",
    )
    maximum_bytes: int | None = Field(
        default=None, ge=1, description="With more bytes kept, instances are refused (0xA700); null: the disk decides."
    )
    retention_days: int | None = Field(
        default=None, ge=1, description="Delete studies this many days after their results are delivered; null: never."
    )
    ledger_days: int | None = Field(
        default=400,
        ge=1,
        description="Delete the ledger's lines (`mammo-node ledger`) after this many days; null: never.",
    )

    @property
    def is_embedded(self) -> bool:
        """Whether the database is a file that only this node uses."""
        return self.database_url.startswith("sqlite:")

    @property
    def lock_file(self) -> Path:
        """Held by the node that works on these objects, for as long as it lives."""
        return self.object_folder / ".lock"

    @property
    def pseudonym_key_file(self) -> Path:
        """The secret that women's pseudonyms in exported tables are made with."""
        return self.object_folder / ".pseudonym-key"


class PipelineSettings(Settings):
    """How several workers share the work; one alone needs none of this."""

    heartbeat_s: Seconds = Field(default=5.0, description="How often a worker tells that it lives.")
    takeover_s: Seconds = Field(
        default=30.0, description="A worker that was not heard of for this long is dead: another does its work."
    )
    finished_jobs_days: int = Field(
        default=7, ge=1, description="Finished jobs are forgotten after this many days; exams' histories are not."
    )
