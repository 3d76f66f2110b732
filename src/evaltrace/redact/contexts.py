"""The rules for secrets that are known by what stands before them."""

from __future__ import annotations

from evaltrace.redact import outlines
from evaltrace.redact.rules import Rule

_QUOTE = r"(?:\\{0,15}[\"'`])?"
_END = r"[^\s\"'`\\,;]"

WORDS = (
    "passw(?:or)?d|passphrase|passcode|pwd|secret|token|credentials?|"
    "(?:api|access|private|auth|signing|encryption|master|account|license|service|admin|subscription"
    "|secret|storage|function|host)[_-]?key|jwt|bearer"
)
"""What the name of a secret ends with; `named` looks at the name before it and the value."""

WEAK_NEEDLES = ("key", "auth", "session", "cookie", "salt", "dsn", "hmac", "sk")
WEAK_WORDS = f"(?<![A-Za-z])(?:{'|'.join(WEAK_NEEDLES)})"
"""What names secrets and other things: the value has to be random, and no digest."""

NEEDLES = ("pass", "pwd", "secret", "token", "credential", "key", "jwt", "bearer")
"""Parts of the words: each word has one of them."""

SUFFIX = (
    r"(?:[_-]?(?:prod|production|dev|development|test|staging|stage|live|value|val|str|string|text"
    r"|raw|b64|base64|current|old|new|primary|secondary|main|default|local|ci|[0-9]{1,2}))?"
)
"""What may follow these words in a name."""

CONTEXTS: tuple[Rule, ...] = (
    Rule(
        name="authorization", title="Authorization header: Bearer, Basic and others",
        kind="context", ignore_case=True, needles=("authorization", "bearer"), check="credential",
        pattern=rf"(?:(?<![a-z])authorization{_QUOTE}\]?\s{{0,4}}(?:=>|[:=,])\s{{0,4}}[bfr]?{_QUOTE}"
                r"(?:(?:bearer|basic|token|apikey|key|negotiate|bot|oauth)\s{1,4})?"
                r"|(?<![a-z])bearer\s{1,4})"
                r"(?P<secret>[A-Za-z0-9._~+/=:-]{8,4000})",
        sieve=outlines.authorization(), example="Authorization: Bearer …",
    ),
    Rule(
        name="cookie", title="Cookie header with a session", kind="context", ignore_case=True,
        needles=("cookie",), check="session",
        pattern=rf"(?<![a-z])cookie{_QUOTE}\]?\s{{0,4}}[:=,]\s{{0,4}}{_QUOTE}"
                r"(?P<secret>[A-Za-z0-9_.-]{1,80}=[^\"'`\\\r\n]{8,4000})",
        sieve=outlines.cookie(), example="Cookie: sid=…",
    ),
    Rule(
        name="url-password", title="Password or token in an address or a connection string",
        kind="context", needles=("://",), check="login",
        pattern=r"(?<=[A-Za-z0-9])://(?:[^\s/:@?#\"'`\\<>]{0,100}:(?P<secret>[^\s/@\"'`\\<>]{3,300})"
                r"|(?P<alone>[A-Za-z0-9_.~-]{20,300}))@(?=[\w.\[-])",
        sieve=outlines.url_password(), example="postgres://user:…@host/db",
    ),
    Rule(
        name="url-parameter", title="Signature or key among the parameters of an address",
        kind="context", ignore_case=True, check="random",
        needles=("sig=", "signature=", "key=", "code=", "auth=", "token=", "credential="),
        pattern=r"[?&;](?:amp;)?(?:x-amz-|x-goog-|x-ms-)?(?:[\w-]{0,20}[_-])?(?:sig|signature|key|"
                r"code|auth|\w{0,20}token|credential)=(?P<secret>[^\s&#\"'`\\<>]{16,3000})",
        sieve=outlines.url_parameter(), example="https://host/blob?sig=…",
    ),
    Rule(
        name="command-login", title="Password given to curl, mysql, sshpass, docker, SQL, netrc",
        kind="context", check="login",
        needles=("curl", "mysql", "sshpass", "docker login", "IDENTIFIED BY", "password ", "wget"),
        pattern=r"(?:(?:curl|wget)[^\n|;]{0,200}?\s(?:-u|--user|--proxy-user)[= ]?\s{0,3}"
                rf"{_QUOTE}[\w.@+-]{{1,80}}:|sshpass\s{{1,4}}-p\s{{0,4}}{_QUOTE}"
                rf"|mysql\w{{0,10}}\s[^\n|;]{{0,120}}?\s?-p(?=\S){_QUOTE}"
                rf"|docker login[^\n|;]{{0,120}}?\s(?:-p|--password)[= ]\s{{0,3}}{_QUOTE}"
                r"|IDENTIFIED BY\s{1,3}\\{0,15}'|login\s{1,4}\S{1,80}\s{1,4}password\s{1,4})"
                rf"(?P<secret>{_END}{{4,200}})",
        sieve=outlines.command_login(), example="curl -u name:…",
    ),
    Rule(
        name="secret-value", title="Value of a variable, key, flag or field whose name says secret",
        kind="context", ignore_case=True, finder="named",
        pattern=f"(?:{WORDS}|(?<![A-Za-z])pass){SUFFIX}",
        needles=NEEDLES,
        sieve=outlines.secret_value(WORDS, SUFFIX), example="API_TOKEN=…",
    ),
    Rule(
        name="uncertain-value", title="Random value behind a name such as key or session",
        kind="context", ignore_case=True, finder="named",
        pattern=f"{WEAK_WORDS}{SUFFIX}",
        needles=WEAK_NEEDLES,
        sieve=outlines.uncertain_value("|".join(WEAK_NEEDLES), SUFFIX), example='"key": "…"',
    ),
)  # fmt: skip

PERSONAL: tuple[Rule, ...] = (
    Rule(
        name="home-user", title="Name of a user in the path of a home folder", kind="personal",
        pattern=r"(?:/(?:home|Users)/|[A-Za-z]:\\{1,4}Users\\{1,4})(?P<secret>[A-Za-z0-9_.-]{2,64})",
        needles=("/home/", "/Users/", ":\\"), check="person",
        sieve=r"/(?:home|Users)/[A-Za-z0-9_.-]|:\\+Users", example="/home/…/project",
    ),
    Rule(
        name="email", title="E-mail address", kind="personal", check="mailbox",
        pattern=r"(?<![A-Za-z0-9._%+-])(?P<secret>[A-Za-z0-9._%+-]{1,64}@"
                r"(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24})(?![A-Za-z0-9-])",
        needles=("@",), sieve=r"[A-Za-z0-9_%+-]@[A-Za-z0-9-]+\.[A-Za-z]",
        example="someone@company.org",
    ),
)  # fmt: skip
