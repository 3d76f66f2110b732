"""Who asks: the settings with which an object store is opened.

Keys in the environment are used as they are. Whatever else AWS knows (profiles, single
sign-on, roles, containers) is left to botocore, which bounds its wait for a machine's role.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

from evaltrace.errors import UnreadablePath
from evaltrace.untrusted import one_line

_REFRESH = timedelta(minutes=10)
"""How long keys are used before botocore is asked again; it renews them in time."""

_PATIENT: dict[str, Any] = {"max_retries": 8, "retry_timeout": timedelta(seconds=90)}
_SHORT: dict[str, Any] = {"max_retries": 1, "retry_timeout": timedelta(seconds=5)}
_CLIENT: dict[str, Any] = {"connect_timeout": "10s", "timeout": "60s"}
_YES = ("1", "true", "yes", "on")
_GOOGLE_FILE = ".config/gcloud/application_default_credentials.json"

CREDENTIAL_HINTS = {
    "s3": "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run "
    "`aws sso login`; AWS_SKIP_SIGNATURE=true reads public buckets. Tried: the environment, "
    "the files of ~/.aws, the container's role, the machine's role.",
    "gs": "Set GOOGLE_APPLICATION_CREDENTIALS to the file of a service account, or run "
    "`gcloud auth application-default login`; GOOGLE_SKIP_SIGNATURE=true reads public buckets. "
    "Tried: the environment, the file of gcloud, the machine's role.",
    "az": "Set AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN "
    "or AZURE_CLIENT_ID, AZURE_CLIENT_SECRET and AZURE_TENANT_ID. Tried: the environment, the "
    "machine's role.",
}
"""What to set where credentials are missing or not accepted, by scheme."""


def s3_settings(bucket: str) -> dict[str, Any]:
    """Give the settings of a client for a bucket of S3, or of what speaks S3.

    Raises UnreadablePath where there are no credentials.
    """
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    settings: dict[str, Any] = {
        "client_options": _CLIENT | {"allow_http": bool(endpoint and endpoint.startswith("http:"))},
        "retry_config": _PATIENT,
    }
    if endpoint:
        settings["endpoint"] = endpoint
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not (_has_keys() or is_anonymous()):
        session = aws_session()
        settings["credential_provider"] = _provider(session, bucket)
        region = region or session.get_config_variable("region")
    settings["region"] = region or "us-east-1"
    return settings


def other_settings(scheme: str) -> dict[str, Any]:
    """Give the settings of a client for another object store, which reads the environment.

    Where nothing is set it asks the machine's role, and must not do so for long.
    """
    known = (
        any(name.startswith("GOOGLE_") for name in os.environ)
        or (Path.home() / _GOOGLE_FILE).exists()
        if scheme == "gs"
        else any(name.startswith("AZURE_") for name in os.environ)
    )
    return {"client_options": _CLIENT, "retry_config": _PATIENT if known else _SHORT}


def is_anonymous() -> bool:
    """Tell whether requests to S3 are not to be signed."""
    return os.environ.get("AWS_SKIP_SIGNATURE", "").lower() in _YES


def aws_session() -> Any:
    """Open a session of botocore, which knows the profile."""
    import botocore.session

    return botocore.session.Session()


def _has_keys() -> bool:
    return bool(os.environ.get("AWS_ACCESS_KEY_ID") and os.environ.get("AWS_SECRET_ACCESS_KEY"))


def _provider(session: Any, bucket: str) -> Callable[[], dict[str, Any]]:
    from botocore.exceptions import BotoCoreError

    try:
        credentials = session.get_credentials()
    except BotoCoreError as error:
        _raise_none(bucket, str(error))
    if credentials is None:
        _raise_none(bucket, "none were found")

    def keys() -> dict[str, Any]:
        try:
            frozen = credentials.get_frozen_credentials()
        except BotoCoreError as error:
            _raise_none(bucket, str(error))
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + _REFRESH,
        }

    # Asked once here, so that what is missing is told in our words.
    keys()
    return keys


def _raise_none(bucket: str, reason: str) -> NoReturn:
    what = f"no credentials ({one_line(reason, 200)})"
    raise UnreadablePath(what, where=f"s3://{bucket}", hint=CREDENTIAL_HINTS["s3"]) from None
