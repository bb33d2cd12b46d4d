"""Repositories of the Hugging Face hub: which of their files are downloaded, and what to do when that fails."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from poseanimate.errors import ModelsError, first_line

SMALL = (".json", ".txt")
VARIANT = "fp16"  # half the bytes of the ordinary weights
TIMEOUT_S = 10.0  # for the hub's answer about a repository
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
_WEIGHTS = re.compile(r"(^|/)(diffusion_pytorch_)?model(-\d+-of-\d+)?\.safetensors$")
_VARIANT = re.compile(rf"\.{VARIANT}[.-]([\w-]+\.)?safetensors$")

OnMessage = Callable[[str], None]


@dataclass(frozen=True)
class Repository:
    """A repository of the hub. revision: a commit, tag or branch; None is the newest."""

    id: str
    revision: str | None = None

    @staticmethod
    def parse(text: str) -> Repository | None:
        """Reads OWNER/NAME or OWNER/NAME@REVISION; None for other texts."""
        if not _ID.fullmatch(text):
            return None
        name, _, revision = text.partition("@")
        return Repository(name, revision or None)


def weights_variant(names: Iterable[str]) -> str | None:
    """The variant of a network's weights to load, by the file names in its folder: fp16 where there is one."""
    found = any(_VARIANT.search(name) for name in names)
    return VARIANT if found else None


def network_files(names: Iterable[str], folder: str) -> list[str]:
    """The files of a network, tokenizer or scheduler in a folder ("" is the root), out of a repository's file names."""
    own = [name for name in names if PurePosixPath(name).parent == PurePosixPath(folder)]
    weights = _VARIANT if weights_variant(own) else _WEIGHTS
    return [name for name in own if name.endswith(SMALL) or weights.search(name)]


def fetch(
    repository: Repository,
    choose: Callable[[list[str]], list[str]],
    on_message: OnMessage = lambda _: None,
) -> Path:
    """The folder of a repository's snapshot with the chosen files; downloads those that are missing.

    The hub isn't asked about a pinned commit whose chosen files are all cached. Where the hub can't be reached, or no
    longer has the repository, the cached snapshot is used, and files may be missing from it.

    Args:
        choose: picks the files, given all names.
        on_message: receives a sentence that says how much is being downloaded.

    Raises:
        ModelsError: there is no such repository, it is gated, or it can't be downloaded.
    """
    # imported where it is used: the client takes as long as all else that a light command imports
    from huggingface_hub import HfApi, snapshot_download, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    id_, revision = repository.id, repository.revision
    try:
        complete = find_complete(repository, choose)
        if complete is not None:
            return complete
        try:
            about = HfApi().model_info(
                id_, revision=revision, files_metadata=True, timeout=TIMEOUT_S
            )
        except Exception as error:  # in the ways of several libraries
            try:
                return _find_cached(repository)
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
            on_message(f"Fetching {missing / 1e6:,.0f} MB of {id_} from the Hugging Face hub.")
        return Path(snapshot_download(id_, revision=revision, allow_patterns=names))
    except Exception as error:  # fetching fails in the ways of several libraries
        raise ModelsError(*_explain(repository, error)) from error


def find_complete(repository: Repository, choose: Callable[[list[str]], list[str]]) -> Path | None:
    """The cached snapshot of a pinned commit, if it has all chosen files; without asking the hub.

    Args:
        choose: see `fetch`.
    """
    try:  # older clients lack them, and still load models from folders
        from huggingface_hub import get_cached_repo_tree, snapshot_download
        from huggingface_hub.errors import CachedRepoTreeNotFoundError, LocalEntryNotFoundError
    except ImportError:
        return None

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


def _find_cached(repository: Repository) -> Path:
    """The cached snapshot of a repository, complete or not."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(repository.id, revision=repository.revision, local_files_only=True)
        )
    except LocalEntryNotFoundError as error:
        cached = getattr(error, "snapshot_path", None)  # newer clients miss files that nobody chose
        if cached is None:
            raise
        return Path(cached)


def _explain(repository: Repository, error: Exception) -> tuple[str, str]:
    """What is wrong, and its remedy."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

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
