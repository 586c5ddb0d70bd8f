"""Fields of a body that a gateway between this server and the provider would obey, with this server's key.

LiteLLM's proxy is such a gateway. The fields choose where a call goes, with whose key, to which other models, at which
price, or what the gateway records. All that is for the operator. Names are compared without case and punctuation,
because gateways differ in both.
"""

import re
from collections.abc import Iterable
from typing import Final

_NAMES: Final = frozenset(
    {"apitype", "apiversion", "customllmprovider", "deploymentid", "organization", "organizationid", "regionname"}
    | {"extrabody", "extraquery", "defaultquery", "httpclient", "proxy", "proxyserverrequest", "sslverify"}
    | {"modellist", "models", "modelinfo", "routersettings", "userconfig", "metadata", "secretfields"}
    | {"callbacks", "successcallback", "failurecallback", "servicecallback", "loggerfn", "nolog"}
    | {"turnoffmessagelogging", "disableglobalguardrail", "disableglobalguardrails", "kvtransferparams"}
)
_PATTERN: Final = re.compile(
    "(litellm|uselitellm|userapikey|mock|aws|azure|vertex|bedrock|sagemaker|gcs|s3|oci|watsonx).*"
    "|(langfuse|langsmith|humanloop|arize|phoenix|posthog|braintrust|lunary|wandb|weave|slack|ddsite|ddagent).*"
    "|.*(fallback|costper).*"
    "|.*(apibase|host|(?<!image|audio|video)url|uri|endpoint|headers?)"
    "|.*(apikey|passwords?|secrets?|secretkey|accesskey|credentials?)"
    "|.*(access|ad|auth|bearer|identity|oauth|refresh|session)token"
)
_PUNCTUATION: Final = re.compile("[^a-z0-9]")
_MAX_NAME_CHARS: Final = 100  # no gateway has a longer name, and a name may be as long as the body
_SHOWN_NAME: Final = re.compile("[A-Za-z][A-Za-z0-9_-]{0,63}")


def refuse_control_fields(names: Iterable[str]) -> None:
    """``names``: of the fields to forward to the provider. Raises ValueError with the first that is refused."""
    refused = min(filter(_is_control_field, names), default=None)
    if refused is not None:
        shown = refused if _SHOWN_NAME.fullmatch(refused) else "a field that controls a gateway"
        raise ValueError(f"{shown} is not allowed: the server chooses the provider, the key and a gateway's settings")


def _is_control_field(name: str) -> bool:
    if len(name) > _MAX_NAME_CHARS:
        return False
    plain_name = _PUNCTUATION.sub("", name.casefold())
    return plain_name in _NAMES or _PATTERN.fullmatch(plain_name) is not None
