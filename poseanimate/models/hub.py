"""Repositories of the Hugging Face hub: which of their files are fetched, and what is said when they can't be."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from huggingface_hub import (
    HfApi,
    snapshot_download,
    try_to_load_from_cache,
)
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from poseanimate.errors import ModelsError, first_line

SMALL = (".json", ".txt")
VARIANT = "fp16"  # half the bytes of the ordinary weights
TIMEOUT_S = 10.0  # for the hub's answer about a repository
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
_WEIGHTS = re.compile(r"(^|/)(diffusion_pytorch_)?model(-\d+-of-\d+)?\.safetensors$")
_VARIANT = re.compile(rf"\.{VARIANT}[.-]([\w-]+\.)?safetensors$")

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Repository:
    """One of the hub. revision: a commit, tag or branch; None is the newest."""

    id: str
    revision: str | None = None

    @staticmethod
    def named(text: str) -> Repository | None:
        """What OWNER/NAME or OWNER/NAME@REVISION means; None for other texts."""
        if not _ID.fullmatch(text):
            return None
        name, _, revision = text.partition("@")
        return Repository(name, revision or None)


def weights_variant(names: Iterable[str]) -> str | None:
    """The variant of a network's weights that is loaded, of those that lie in its folder: fp16 where there is one."""
    found = any(_VARIANT.search(name) for name in names)
    return VARIANT if found else None


def network_files(names: Iterable[str], folder: str) -> list[str]:
    """Of a repository's files those that a network, tokenizer or scheduler in a folder ("" is the root) is made of."""
    own = [name for name in names if PurePosixPath(name).parent == PurePosixPath(folder)]
    weights = _VARIANT if weights_variant(own) else _WEIGHTS
    return [name for name in own if name.endswith(SMALL) or weights.search(name)]


def fetched(
    repository: Repository, choose: Callable[[list[str]], list[str]], tell: Tell = lambda _: None
) -> Path:
    """The folder of a repository's snapshot that holds the chosen files, fetched where they aren't yet.

    A fixed commit that is whole already isn't asked for again. Where the hub can't be reached or no longer has the
    repository, what was fetched before must do: files may then be missing.

    Args:
        choose: of all names those that are wanted.
        tell: is told how much is being fetched.

    Raises:
        ModelsError: there is no such repository, it is gated, or it can't be fetched.
    """
    id_, revision = repository.id, repository.revision
    try:
        whole = _whole(repository, choose)
        if whole is not None:
            return whole
        try:
            about = HfApi().model_info(
                id_, revision=revision, files_metadata=True, timeout=TIMEOUT_S
            )
        except Exception as error:  # in the ways of several libraries
            try:
                return _kept(repository)
            except LocalEntryNotFoundError:
                if isinstance(error, HfHubHTTPError):  # the hub's own answer says more
                    raise error from None
                raise
        sizes = {file.rfilename: file.size or 0 for file in about.siblings or ()}
        names = choose(list(sizes))
        missing = sum(
            sizes.get(name, 0)
            for name in names
            if not isinstance(try_to_load_from_cache(id_, name, revision=revision), str)
        )
        if missing:
            tell(f"Fetching {missing / 1e6:,.0f} MB of {id_} from the Hugging Face hub.")
        return Path(snapshot_download(id_, revision=revision, allow_patterns=names))
    except Exception as error:  # fetching fails in the ways of several libraries
        raise ModelsError(*_told(repository, error)) from error


def _whole(repository: Repository, choose: Callable[[list[str]], list[str]]) -> Path | None:
    """The folder of a fixed commit's snapshot, if all chosen files of it are here; without asking the hub."""
    # here, since models in folders load with clients that don't have these yet
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    id_, revision = repository.id, repository.revision
    if revision is None or not _COMMIT.fullmatch(revision):
        return None
    try:
        names = choose([file.path for file in get_cached_repo_tree(id_, revision=revision)])
        return Path(
            snapshot_download(id_, revision=revision, allow_patterns=names, local_files_only=True)
        )
    except (CachedRepoTreeNotFoundError, LocalEntryNotFoundError):
        return None


def _kept(repository: Repository) -> Path:
    """The folder of a snapshot that was fetched before, complete or not."""
    try:
        return Path(
            snapshot_download(repository.id, revision=repository.revision, local_files_only=True)
        )
    except LocalEntryNotFoundError as error:
        kept = getattr(error, "snapshot_path", None)  # newer clients miss files that nobody chose
        if kept is None:
            raise
        return Path(kept)


def _told(repository: Repository, error: Exception) -> tuple[str, str]:
    """What is wrong, and what to do."""
    name = repository.id
    if isinstance(error, GatedRepoError):
        return (
            f"{name} is gated: its owners ask for your consent to their terms.",
            f"Accept them on the page of {name}, then log in with `hf auth login` or set HF_TOKEN.",
        )
    if isinstance(error, RevisionNotFoundError):
        return (
            f"{name} has no revision {repository.revision!r}.",
            "Name a commit, tag or branch of it after the @.",
        )
    if isinstance(error, RepositoryNotFoundError | HFValidationError):
        return (
            f"The Hugging Face hub has no {name}, or it is private, and there is no such folder here.",
            "Check the name; for a private repository log in with `hf auth login`, or set HF_TOKEN.",
        )
    if isinstance(error, LocalEntryNotFoundError):
        return (
            f"{name} can't be fetched: the Hugging Face hub can't be reached, and nothing of it is here.",
            "Check the connection (and that HF_HUB_OFFLINE isn't set), or use the pocket models.",
        )
    if isinstance(error, HfHubHTTPError) and error.response.status_code == 401:
        return (
            f"{name} can't be fetched: the Hugging Face hub doesn't accept the token that is set here.",
            "Log in again with `hf auth login`, or unset HF_TOKEN: what is public needs none.",
        )
    if isinstance(error, HfHubHTTPError) and error.response.status_code == 429:
        return (
            f"{name} can't be fetched: the Hugging Face hub has had too many requests from here.",
            "Wait some minutes, or log in with `hf auth login`.",
        )
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return (
            f"{name} can't be fetched: the disk is full.",
            "Free some space, or set HF_HOME to a folder on another disk.",
        )
    return (
        f"{name} can't be fetched ({first_line(error)}).",
        "Check the connection to the Hugging Face hub, or use the pocket models.",
    )
