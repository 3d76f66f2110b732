"""The rules for secrets that are known by what stands before them."""

from __future__ import annotations

from evaltrace.redact.rules import Rule

_QUOTE = r"(?:\\{0,15}[\"'`])?"
_END = r"[^\s\"'`\\,;]"

WORDS = (
    "passw(?:or)?d|passphrase|passcode|pwd|secret|token|credentials?|"
    "(?:api|access|private|auth|signing|encryption|master|account|license|service|admin|subscription"
    "|secret|storage|function|host)[_-]?key|jwt|bearer"
)
"""What the name of a secret ends with; `named` looks at the name before it and the value."""

WEAK_WORDS = "(?<![A-Za-z])(?:key|auth|session|cookie|salt|dsn|hmac|sk)"
"""What names secrets and other things: the value has to be random, and no digest."""

NEEDLES = ("pass", "pwd", "secret", "token", "credential", "key", "jwt", "bearer")
WEAK_NEEDLES = ("key", "auth", "session", "cookie", "salt", "dsn", "hmac", "sk")
"""Parts of the words: each word has one of them."""

SUFFIX = (
    r"(?:[_-]?(?:prod|production|dev|development|test|staging|stage|live|value|val|str|string|text"
    r"|raw|b64|base64|current|old|new|primary|secondary|main|default|local|ci|[0-9]{1,2}))?"
)
"""What may follow these words in a name."""

# Of the sieve, which cannot look around.
_MAYBE_QUOTE = r"(?:\\{0,15}[\"'`])?"
_SIGN = (
    r"[ \t]{0,8}(?:(?::[ \t]?[A-Za-z_][A-Za-z0-9_.\[\]| ]{0,30})?={1,3}|:=|:|=>)"
    r"[ \t>]{0,8}[bfru]{0,2}"
)
_ODD = r"(?:[0-9@#%^&*!~?=+$|<>(){}\[\],;]|[a-z][A-Z]|[A-Z]{2}[a-z])"
_QUOTED = rf"\\{{0,15}}[\"'`][^\s\"'`]{{0,60}}{_ODD}"
_PLAIN = r"[^\s\"'`\\,;&|<>(){}\[\]]{0,40}"
_BARE = (
    rf"(?:{_PLAIN}[A-Za-z]{_PLAIN}(?:[0-9@#%^*!~?=+$]|[a-z][A-Z]|[A-Z]{{2}}[a-z])"
    rf"|{_PLAIN}[0-9@#%^*!~?=+$]{_PLAIN}[A-Za-z]|[a-z][A-Z]|[A-Z]{{2}}[a-z])"
)

CONTEXTS: tuple[Rule, ...] = (
    Rule(
        name="authorization", title="Authorization header: Bearer, Basic and others",
        kind="context", ignore_case=True, needles=("authorization", "bearer"), check="credential",
        pattern=rf"(?:(?<![a-z])authorization{_QUOTE}\]?\s{{0,4}}(?:=>|[:=,])\s{{0,4}}[bfr]?{_QUOTE}"
                r"(?:(?:bearer|basic|token|apikey|key|negotiate|bot|oauth)\s{1,4})?"
                r"|(?<![a-z])bearer\s{1,4})"
                r"(?P<secret>[A-Za-z0-9._~+/=:-]{8,4000})",
        sieve=r"(?:^|[^A-Za-z])(?i:authorization|bearer)[\\\"'`\]:=,> \tbfr]{1,20}"
              r"(?:[A-Za-z]{1,10}[ \t]{1,4})?"
              r"[A-Za-z._~+/=:-]{0,60}(?:[0-9]|[a-z][A-Z]|[A-Z]{2}[a-z])",
        example="Authorization: Bearer …",
    ),
    Rule(
        name="cookie", title="Cookie header with a session", kind="context", ignore_case=True,
        needles=("cookie",), check="session",
        pattern=rf"(?<![a-z])cookie{_QUOTE}\]?\s{{0,4}}[:=,]\s{{0,4}}{_QUOTE}"
                r"(?P<secret>[A-Za-z0-9_.-]{1,80}=[^\"'`\\\r\n]{8,4000})",
        sieve=r"(?i:cookie)[\\\"'`\]:=, \t]{1,12}[A-Za-z0-9_.-]{1,80}=", example="Cookie: sid=…",
    ),
    Rule(
        name="url-password", title="Password or token in an address or a connection string",
        kind="context", needles=("://",), check="login",
        pattern=r"(?<=[A-Za-z0-9])://(?:[^\s/:@?#\"'`\\<>]{0,100}:(?P<secret>[^\s/@\"'`\\<>]{3,300})"
                r"|(?P<alone>[A-Za-z0-9_.~-]{20,300}))@(?=[\w.\[-])",
        sieve=r"://[^\s/@?#\"'`\\<>]{3,500}@", example="postgres://user:…@host/db",
    ),
    Rule(
        name="url-parameter", title="Signature or key among the parameters of an address",
        kind="context", ignore_case=True, check="random",
        needles=("sig=", "signature=", "key=", "code=", "auth=", "token=", "credential="),
        pattern=r"[?&;](?:amp;)?(?:x-amz-|x-goog-|x-ms-)?(?:[\w-]{0,20}[_-])?(?:sig|signature|key|"
                r"code|auth|\w{0,20}token|credential)=(?P<secret>[^\s&#\"'`\\<>]{16,3000})",
        sieve=r"[?&;](?i:[\w;-]{0,45}(?:sig|signature|key|code|auth|token|credential))="
              r"[^\s&#\"'`\\<>]{12}",
        example="https://host/blob?sig=…",
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
        sieve=r"(?:curl|wget)[^\n|;]{0,200}\s(?:-u|--user|--proxy-user)|sshpass\s+-p|"
              r"mysql[^\n|;]{0,120}-p[^\s]|docker login[^\n|;]{0,120}-p|IDENTIFIED BY\s|"
              r"login\s{1,4}[^\s]{1,80}\s{1,4}password\s",
        example="curl -u name:…",
    ),
    Rule(
        name="secret-value", title="Value of a variable, key, flag or field whose name says secret",
        kind="context", ignore_case=True, finder="named",
        pattern=f"(?:{WORDS}|(?<![A-Za-z])pass){SUFFIX}",
        needles=NEEDLES,
        sieve=rf"(?i:(?:{WORDS}|^pass|[^A-Za-z]pass){SUFFIX}){_MAYBE_QUOTE}\]?"
              rf"(?:{_SIGN}|[ \t,]{{1,10}})(?:\[\s{{0,20}})?{_QUOTED}"
              rf"|\"(?:name|key)\\{{0,15}}\"\s{{0,3}}:\s{{0,3}}\\{{0,15}}\"[A-Za-z0-9_.-]{{0,60}}?"
              rf"(?i:(?:{WORDS}|pass){SUFFIX})\\{{0,15}}\""
              rf"|(?i:(?:{WORDS}|^pass|[^A-Za-z]pass){SUFFIX}){_MAYBE_QUOTE}\]?{_SIGN}{_BARE}"
              rf"|--?[A-Za-z0-9_-]{{0,40}}(?i:(?:{WORDS}|pass){SUFFIX})[ \t]{{1,10}}{_BARE}",
        example="API_TOKEN=…",
    ),
    Rule(
        name="uncertain-value", title="Random value behind a name such as key or session",
        kind="context", ignore_case=True, finder="named",
        pattern=f"{WEAK_WORDS}{SUFFIX}",
        needles=WEAK_NEEDLES,
        sieve=rf"(?:^|[^A-Za-z])(?i:(?:key|auth|session|cookie|salt|dsn|hmac|sk){SUFFIX})"
              rf"{_MAYBE_QUOTE}\]?(?:{_SIGN}{_MAYBE_QUOTE}|[ \t,]{{1,10}}\\{{0,15}}[\"'`])"
              r"[A-Za-z0-9+/_.=:-]{20}",
        example='"key": "…"',
    ),
)  # fmt: skip

PERSONAL: tuple[Rule, ...] = (
    Rule(
        name="home-user", title="Name of a user in the path of a home folder", kind="personal",
        pattern=r"(?:/(?:home|Users)/|[A-Za-z]:\\{1,4}Users\\{1,4})(?P<secret>[A-Za-z0-9_.-]{2,64})",
        needles=("/home/", "/Users/", ":\\"), check="person",
        sieve=r"/(?:home|Users)/[A-Za-z0-9_.-]|:\\{1,8}Users", example="/home/…/project",
    ),
    Rule(
        name="email", title="E-mail address", kind="personal", check="mailbox",
        pattern=r"(?<![A-Za-z0-9._%+-])(?P<secret>[A-Za-z0-9._%+-]{1,64}@"
                r"(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24})(?![A-Za-z0-9-])",
        needles=("@",), sieve=r"[A-Za-z0-9_%+-]@[A-Za-z0-9-]{1,63}\.[A-Za-z]",
        example="someone@company.org",
    ),
)  # fmt: skip
