"""Made-up secrets in the places where secrets turn up, and innocent texts that look like them.

All is generated from a seed, so that no line of this file looks like a secret to a scanner.
"""

# ruff: noqa: E501 - tables of templates

from __future__ import annotations

import base64
import json
import string
import uuid
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple
from urllib.parse import quote

DIGITS = string.digits
LOWER = string.ascii_lowercase
UPPER = string.ascii_uppercase
ALNUM = string.ascii_letters + DIGITS
WORD = ALNUM + "_-"
HEX = "0123456789abcdef"
B64 = ALNUM + "+/"


class Planted(NamedTuple):
    """A text with a secret: by which rule it should be found, and what must not be left of it."""

    rule: str
    place: str
    text: str
    gone: tuple[str, ...]


def some(rng: Random, marks: str, size: int) -> str:
    return "".join(rng.choices(marks, k=size))


def coded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _jwt(rng: Random) -> str:
    head = coded(json.dumps({"alg": "HS256", "typ": "JWT"}, separators=(",", ":")))
    body = coded(json.dumps({"sub": some(rng, DIGITS, 10), "iat": rng.randrange(10**9)}))
    return f"{head}.{body}.{some(rng, WORD, 43)}"


Make = Callable[[Random], str]

TOKENS: dict[str, tuple[str, Make]] = {
    "anthropic": ("anthropic-key", lambda r: "sk-" + "ant-api03-" + some(r, WORD, 93) + "AA"),
    "anthropic oauth": ("anthropic-key", lambda r: "sk-" + "ant-oat01-" + some(r, WORD, 86)),
    "openai old": ("sk-key", lambda r: "sk-" + some(r, ALNUM, 20) + "T3Blbk" + "FJ" + some(r, ALNUM, 20)),
    "openai project": ("openai-key", lambda r: "sk-" + "proj-" + some(r, WORD, 74) + "T3Blbk" + "FJ" + some(r, WORD, 74)),
    "openai service": ("openai-key", lambda r: "sk-" + "svcacct-" + some(r, WORD, 58)),
    "openrouter": ("openrouter-key", lambda r: "sk-" + "or-v1-" + some(r, HEX, 64)),
    "deepseek": ("sk-key", lambda r: "sk-" + some(r, HEX, 32)),
    "langfuse": ("sk-key", lambda r: "sk-" + "lf-" + _uuid(r)),
    "google key": ("google-api-key", lambda r: "AI" + "za" + "Sy" + some(r, WORD, 33)),
    "google oauth": ("google-oauth", lambda r: "ya" + "29." + "a0" + some(r, WORD, 150)),
    "google client": ("google-oauth", lambda r: "GOC" + "SPX-" + some(r, WORD, 28)),
    "hugging face": ("hugging-face-token", lambda r: "hf" + "_" + some(r, string.ascii_letters, 34)),
    "groq": ("groq-key", lambda r: "gs" + "k_" + some(r, ALNUM, 52)),
    "xai": ("xai-key", lambda r: "xa" + "i-" + some(r, ALNUM, 80)),
    "perplexity": ("perplexity-key", lambda r: "ppl" + "x-" + some(r, ALNUM, 48)),
    "replicate": ("replicate-token", lambda r: "r8" + "_" + some(r, ALNUM, 37)),
    "langsmith": ("langsmith-key", lambda r: "lsv2" + "_pt_" + some(r, HEX, 32) + "_" + some(r, HEX, 10)),
    "aws id": ("aws-access-key-id", lambda r: r.choice(["AK", "AS"]) + "IA" + some(r, UPPER + "234567", 16)),
    "azure openai": ("azure-key", lambda r: some(r, ALNUM, 52) + "JQQ" + "J99" + some(r, UPPER + DIGITS, 26)),
    "azure client": ("azure-client-secret", lambda r: some(r, ALNUM, 3) + "8" + "Q~" + some(r, ALNUM + "_~.-", 33) + "a"),
    "digitalocean": ("digitalocean-token", lambda r: "do" + "p_v1_" + some(r, HEX, 64)),
    "databricks": ("databricks-token", lambda r: "da" + "pi" + some(r, HEX, 32)),
    "vault": ("vault-token", lambda r: "hv" + "s." + some(r, WORD, 92)),
    "supabase": ("supabase-token", lambda r: "sb" + "p_" + some(r, HEX, 40)),
    "docker": ("docker-token", lambda r: "dck" + "r_pat_" + some(r, WORD, 27)),
    "github classic": ("github-token", lambda r: "gh" + "p_" + some(r, ALNUM, 36)),
    "github app": ("github-token", lambda r: "gh" + r.choice("sour") + "_" + some(r, ALNUM, 36)),
    "github fine": ("github-fine-grained", lambda r: "github" + "_pat_" + some(r, ALNUM, 22) + "_" + some(r, ALNUM, 59)),
    "gitlab": ("gitlab-token", lambda r: "gl" + "pat-" + some(r, WORD, 20)),
    "sourcegraph": ("sourcegraph-token", lambda r: "sg" + "p_" + some(r, HEX, 16) + "_" + some(r, HEX, 40)),
    "sourcegraph old": ("sourcegraph-token", lambda r: "sg" + "p_" + some(r, HEX, 40)),
    "npm": ("npm-token", lambda r: "np" + "m_" + some(r, ALNUM, 36)),
    "pypi": ("pypi-token", lambda r: "py" + "pi-AgEIcHlwaS5vcmc" + some(r, WORD, 150)),
    "slack bot": ("slack-token", lambda r: "xo" + "xb-" + some(r, DIGITS, 12) + "-" + some(r, DIGITS, 12) + "-" + some(r, ALNUM, 24)),
    "slack app": ("slack-token", lambda r: "xa" + "pp-1-A" + some(r, UPPER + DIGITS, 10) + "-" + some(r, DIGITS, 13) + "-" + some(r, HEX, 64)),
    "slack webhook": ("webhook", lambda r: "https://hooks.slack" + ".com/services/T" + some(r, UPPER + DIGITS, 8) + "/B" + some(r, UPPER + DIGITS, 8) + "/" + some(r, ALNUM, 24)),
    "stripe": ("stripe-key", lambda r: r.choice(["sk", "rk"]) + "_li" + "ve_" + some(r, ALNUM, r.choice([24, 99]))),
    "sendgrid": ("sendgrid-key", lambda r: "S" + "G." + some(r, WORD, 22) + "." + some(r, WORD, 43)),
    "twilio": ("twilio-key", lambda r: "S" + "K" + some(r, HEX, 32)),
    "mailgun": ("mailgun-key", lambda r: "ke" + "y-" + some(r, HEX, 32)),
    "shopify": ("shopify-token", lambda r: "shp" + "at_" + some(r, HEX, 32)),
    "notion": ("notion-token", lambda r: "nt" + "n_" + some(r, ALNUM, 46)),
    "figma": ("figma-token", lambda r: "fig" + "d_" + some(r, WORD, 43)),
    "grafana": ("grafana-token", lambda r: "gl" + "sa_" + some(r, ALNUM, 32) + "_" + some(r, HEX, 8)),
    "telegram": ("telegram-token", lambda r: some(r, "123456789", 10) + ":A" + "A" + some(r, WORD, 33)),
    "jwt": ("jwt", _jwt),
    "age": ("age-key", lambda r: "AGE-SECRET" + "-KEY-1" + some(r, UPPER + DIGITS, 58)),
}  # fmt: skip
"""Tokens that are known by their form: name of the kind, rule, how one is made."""


def _uuid(rng: Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def _json(value: object) -> str:
    return json.dumps(value)


def _wrapped(rng: Random, secret: str) -> tuple[str, tuple[str, ...]]:
    """Put a secret over the end of a line of 80 columns, as terminals show it."""
    cut = rng.randrange(8, min(len(secret) - 6, 70))
    line = ("it said " * 10)[: 79 - cut] + " " + secret + " and went on"
    rows = [line[start : start + 80] for start in range(0, len(line), 80)]
    return "\n".join(rows), (secret[:cut][-8:], secret[cut:][:8])


def _in_base64(rng: Random, secret: str) -> tuple[str, tuple[str, ...]]:
    before = some(rng, LOWER, rng.randrange(0, 9))
    blob = base64.b64encode(f"{before} {secret} end".encode()).decode()
    middle = base64.b64encode(f"{before} ".encode() + secret.encode()).decode().rstrip("=")
    return f"echo {blob} | base64 -d > key.txt", (middle[-12:-2],)


PLACES: dict[str, Callable[[Random, str], str | tuple[str, tuple[str, ...]]]] = {
    "line": lambda _, s: f"2026-02-03 12:00:01 INFO client: using {s}",
    "shell": lambda _, s: f"$ export SETTING={s} && ./run.sh --verbose",
    "json": lambda _, s: _json({"id": 7, "setting": s, "on": True}),
    "json in json": lambda _, s: _json({"content": _json({"setting": s})}),
    "json three deep": lambda _, s: _json([{"out": _json({"content": _json([s, "a\nb"])})}]),
    "escaped line": lambda _, s: _json({"stdout": f"first\n{s}\nlast"})[1:-1],
    "twice escaped": lambda _, s: _json(_json(f"first\n{s}\tlast")),
    "diff": lambda _, s: (
        f"--- a/conf\n+++ b/conf\n@@ -1,2 +1,2 @@\n-value: 1\n+value: {s}\n same\n"
    ),
    "yaml": lambda _, s: f"service:\n  url: https://example.com\n  value: '{s}'\n",
    "code": lambda _, s: f'client = Client("{s}", timeout=30)  # production\n',
    "markdown": lambda _, s: f"Use `{s}` to log in.\n",
    "colour": lambda _, s: f"\x1b[32m{s}\x1b[0m done",
    "quoted url": lambda _, s: f"https://example.com/?next={quote('a=' + s, safe='')}",
    "xml": lambda _, s: f"<entry><value>{s}</value></entry>",
    "csv": lambda _, s: f"name,value\nservice,{s}\nother,1\n",
    "at the end": lambda _, s: f"printed: {s}",
    "wrapped": _wrapped,
    "base64": _in_base64,
}
"""Where tokens stand: the text, or the text with what must not be left of the secret."""

_NO_PREFIX = {"azure openai", "azure client", "slack webhook", "telegram", "twilio", "aws id"}
_ODD = {"mailgun", "twilio", "sendgrid", "google oauth", "replicate", "hugging face"}


def _fits(kind: str, place: str) -> bool:
    """Tell whether a token can be found there: in base64, only with a long known beginning."""
    if place == "base64":
        return kind not in _NO_PREFIX | _ODD
    if place == "quoted url":
        return kind not in ("slack webhook", "telegram")
    return not (place == "wrapped" and kind in ("slack webhook", "azure client", "telegram"))


def tokens(seed: int = 1) -> Iterator[Planted]:
    """Give every kind of token in every place."""
    for kind, (rule, make) in TOKENS.items():
        for place, put in PLACES.items():
            if not _fits(kind, place):
                continue
            rng = Random(f"{seed}/{kind}/{place}")
            secret = make(rng)
            made = put(rng, secret)
            text, gone = made if isinstance(made, tuple) else (made, (secret,))
            yield Planted(rule, place, text, gone or (secret,))


def _key_lines(rng: Random) -> list[str]:
    name = rng.choice(["RSA ", "EC ", "OPENSSH ", ""])
    body = some(rng, B64, rng.randrange(600, 1700)) + "=="
    lines = [body[i : i + 64] for i in range(0, len(body), 64)]
    return [
        f"-----BEGIN {name}PRIVATE" + " KEY-----",
        *lines,
        f"-----END {name}PRIVATE" + " KEY-----",
    ]


def _keys(rng: Random) -> Iterator[tuple[str, str, str, str]]:
    lines = _key_lines(rng)
    gone = lines[rng.randrange(1, len(lines) - 1)]
    block = "\n".join(lines) + "\n"
    yield "private-key", "file", block, gone
    yield "private-key", "json", _json({"key": block}), gone
    yield "private-key", "json in json", _json({"a": _json({"key": block})}), gone
    yield "private-key", "escaped line", _json(block)[1:-1] + " read", gone
    yield "private-key", "diff", "@@ -0,0 +1,9 @@\n" + "".join(f"+{line}\n" for line in lines), gone
    yield (
        "private-key",
        "removed",
        "@@ -1,9 +0,0 @@\n" + "".join(f"-{line}\n" for line in lines),
        gone,
    )
    yield (
        "private-key",
        "listing",
        "".join(f"{n:6}→{line}\n" for n, line in enumerate(lines, 1)),
        gone,
    )
    yield "private-key", "one line", "KEY=" + " ".join(lines), gone
    yield "private-key", "indented", "data:\n" + "".join(f"    {line}\n" for line in lines), gone
    yield "private-key", "cut", "\n".join(lines[:-2]) + "\n[... 900 characters cut ...]\n", lines[3]
    yield (
        "private-key",
        "only the end",
        "\n[... 900 characters cut ...]\n" + "\n".join(lines[4:]),
        lines[-3],
    )
    blob = base64.b64encode(block.encode()).decode()
    yield "private-key-base64", "kubeconfig", f"    client-key-data: {blob}\n", blob[40:70]


def _password(rng: Random) -> str:
    return some(rng, LOWER, 5) + some(rng, DIGITS, 2) + some(rng, ALNUM, 4) + rng.choice("!?*+#")


def _behind_names(rng: Random) -> Iterator[tuple[str, str, str, str]]:
    p, t, h = _password(rng), some(rng, ALNUM, 32), some(rng, HEX, 32)
    name = rng.choice(["API_KEY", "SERVICE_TOKEN", "CLIENT_SECRET", "DB_PASSWORD", "ACCESS_TOKEN"])
    rule = "secret-value"
    yield rule, "export", f"export {name}={t}\n", t
    yield rule, "environment file", f"DEBUG=1\n{name}={h}\nPORT=80\n", h
    yield rule, "json", _json({"user": "me", name.lower(): t}), t
    yield rule, "json in json", _json({"text": _json({"config": {name.lower(): t}})}), t
    yield rule, "json three deep", _json([_json({"text": _json({"password": p})})]), p
    yield rule, "escaped json in a log", "sent " + _json(_json({"apiKey": t}))[1:-1] + " to it", t
    yield (
        rule,
        "yaml",
        f"database:\n  host: db\n  password: {p.rstrip('!?*+#')}\n",
        p.rstrip("!?*+#"),
    )
    yield rule, "code", f'    client = connect(host, password="{p}", retries=3)\n', p
    yield rule, "typed code", f'const apiKey: string = "{t}";\n', t
    yield rule, "flag", f"tool login --token {t} --region eu\n", t
    yield rule, "flag with =", f"tool --api-key={t} list\n", t
    yield rule, "arguments", _json({"command": "tool", "args": ["--api-key", t, "--stdio"]}), t
    yield rule, "pair", _json({"env": [{"name": f"MY_{name}", "value": t}]}), t
    yield rule, "diff", f"@@ -1 +1 @@\n-{name}=\n+{name}={t}\n", t
    yield rule, "toml", f'[auth]\naccess_token = "{t}"\n', t
    yield rule, "connection string", f"Server=db;User Id=sa;Password={p};Encrypt=True", p
    yield (
        "url-password",
        "url",
        f"DATABASE_URL=postgres://app:{p.rstrip('?#')}@db.internal:5432/app",
        p.rstrip("?#"),
    )
    yield "url-password", "git remote", f"origin  https://{t}@github.com/org/repo.git (fetch)", t
    yield "url-password", "redis", _json({"url": f"redis://:{t}@cache:6379/0"}), t
    yield (
        "url-parameter",
        "signed url",
        f"https://store.example.net/b/o?sv=2022&sig={t}{quote('/+=', safe='')}",
        t,
    )
    yield (
        "authorization",
        "curl",
        f"curl -H 'Authorization: Bearer {t}' https://api.example.com/v1",
        t,
    )
    yield (
        "authorization",
        "basic",
        f"> Authorization: Basic {base64.b64encode(f'me:{p}'.encode()).decode()}",
        base64.b64encode(f"me:{p}".encode()).decode()[:-4],
    )
    yield "authorization", "json", _json({"headers": {"Authorization": f"Bearer {t}"}}), t
    yield "authorization", "in words", f"it sent Bearer {t} again", t
    yield "secret-value", "header", f"x-api-key: {t}\naccept: */*\n", t
    yield "cookie", "header", f"Cookie: theme=dark; sessionid={t}; lang=en\n", t
    yield "command-login", "curl", f"curl -s -u deploy:{p} https://ci.example.com/job", p
    yield "command-login", "sshpass", f"sshpass -p {p} ssh me@host", p
    yield "command-login", "netrc", f"machine git.example.com login me password {p}\n", p
    yield "uncertain-value", "json", _json({"key": some(rng, ALNUM, 40)}), ""
    yield "aws-secret-key", "credentials", f"aws_secret_access_key = {some(rng, B64, 40)}\n", ""
    yield "aws-secret-key", "json", _json({"SecretAccessKey": some(rng, B64, 40)}), ""
    yield (
        "azure-key",
        "connection string",
        f"DefaultEndpointsProtocol=https;AccountKey={some(rng, B64, 86)}==;",
        "",
    )


def others(seed: int = 1, rounds: int = 6) -> Iterator[Planted]:
    """Give private keys and the secrets that are known by what stands before them."""
    for turn in range(rounds):
        rng = Random(f"{seed}/others/{turn}")
        for rule, place, text, gone in (*_keys(rng), *_behind_names(rng)):
            yield Planted(rule, place, text, (gone or _longest(text),))


def _longest(text: str) -> str:
    """Give the longest run of a text that is no punctuation: the secret, where it was made."""
    return max("".join(c if c in WORD + "/+" else " " for c in text).split(), key=len)


def planted(seed: int = 1) -> list[Planted]:
    """Give the whole set of secrets."""
    return [*tokens(seed), *others(seed)]


# What is innocent.


def _hash_lines(r: Random) -> Iterator[str]:
    sha, short = some(r, HEX, 40), some(r, HEX, 7)
    yield f"commit {sha}\nAuthor: Somebody\n"
    yield f"{short} Fix the token parser (#{r.randrange(900)})"
    yield f"index {short}..{some(r, HEX, 7)} 100644"
    yield f"Digest: sha256:{some(r, HEX, 64)}"
    yield f'checksum = "{some(r, HEX, 64)}"'
    yield f"example.com/mod v1.{r.randrange(30)}.0 h1:{some(r, B64, 43)}="
    yield f'"integrity": "sha512-{some(r, B64, 86)}=="'
    yield f'    {{file = "pkg-1.0.tar.gz", hash = "sha256:{some(r, HEX, 64)}"}},'
    yield f'"resolved": "https://registry.example.com/a/-/a-1.{r.randrange(99)}.0.tgz#{sha}"'
    yield f'ETag: "{some(r, HEX, 32)}"'
    yield f"md5 ({some(r, LOWER, 6)}.py) = {some(r, HEX, 32)}"
    yield f"FROM python@sha256:{some(r, HEX, 64)}"


def _id_lines(r: Random) -> Iterator[str]:
    yield _json({"session_id": _uuid(r), "trace_id": _uuid(r)})
    yield _json({"type": "tool_use", "id": "toolu_01" + some(r, ALNUM, 22), "name": "Bash"})
    yield _json({"id": "msg_01" + some(r, ALNUM, 22), "role": "assistant"})
    yield _json(
        {"call_id": "call_" + some(r, ALNUM, 24), "request_id": "req_" + some(r, ALNUM, 24)}
    )
    yield _json({"signature": some(r, B64, 300) + "=="})
    yield f"traceparent: 00-{some(r, HEX, 32)}-{some(r, HEX, 16)}-01"
    yield f"arn:aws:iam::{some(r, DIGITS, 12)}:role/ci-deploy-role"
    yield f"pod/web-{some(r, HEX, 10)}-{some(r, LOWER, 5)} Running"
    yield f"tests/test_{some(r, LOWER, 8)}.py::test_{some(r, LOWER, 9)}[{some(r, ALNUM, 12)}-{r.randrange(99)}] PASSED"
    yield f"task-{some(r, LOWER + DIGITS, 34)} started"
    yield f"bundler-nested-lists__{some(r, ALNUM, 7)}"
    yield f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{some(r, B64, 43)} me@laptop"


def _count_lines(r: Random) -> Iterator[str]:
    n = r.randrange(1, 99_999)
    yield _json({"token": n, "tokens": n * 2, "max_tokens": 4096})
    yield f"input_tokens={n} output_tokens={n // 2} cache_read_input_tokens={n * 3}"
    yield f"Total tokens: {n:,} ({n // 7} per second)"
    yield _json({"next_page_token": some(r, ALNUM, 24)})
    yield f"pad_token_id={n}, eos_token='<|endoftext|>'"
    yield f"tokenizer = AutoTokenizer.from_pretrained('model-{n}')"
    yield _json({"key": f"item-{n}", "sort_key": f"2026-01-{n % 28 + 1:02}#order"})
    yield f"password_length: {n % 60 + 4}"
    yield f"secrets found: {n}"
    yield f"token {n} of {n + 1}: 'identifier'"


_STAND_INS = (
    "API_KEY=YOUR_API_KEY", "export ANTHROPIC_API_KEY=${ANTHROPIC_API_KEY}", "TOKEN=$TOKEN ./run",
    '"apiKey": "<your-api-key>"', "password: {{ db_password }}", "Authorization: Bearer <token>",
    'headers = {"Authorization": f"Bearer {token}"}', "-H 'Authorization: Bearer $GITHUB_TOKEN'",
    'api_key="sk-...", model="x"', "OPENAI_API_KEY=sk-your-key-here", "GITHUB_TOKEN=ghp_xxxxxxxxxxxxxxxxxxxx",
    "token: ${{ secrets.GITHUB_TOKEN }}", "postgres://user:password@localhost/db",
    "https://user:${PASSWORD}@host/", "aws_access_key_id = AKIAIOSFODNN7" + "EXAMPLE",
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY", "SECRET_KEY=changeme",
    'password = "********"', "--token <TOKEN>", "--password-stdin", "API_TOKEN=", "ghp_" + "0" * 36,
    "sk-ant-" + "api03-" + "x" * 40, '"secret": "REPLACE_ME"', "PASSWORD=None", "token=null",
    "curl -u user:password https://example.com", "Set ANTHROPIC_API_KEY to your key",
    "hf_" + string.ascii_lowercase + "123456", "redis://:password@localhost:6379/0",
    "SLACK_TOKEN=xoxb-your-token", '"authorization": "Bearer YOUR_TOKEN_HERE"',
)  # fmt: skip

_CODE = (
    "def login(username: str, password: str) -> Token:", "if password != confirm_password:",
    "password = getpass.getpass('Password: ')", "token = request.headers.get('Authorization')",
    "self.token = self.lexer.next_token()", "secret_key = os.environ['SECRET_KEY']",
    "api_key = config.get('api_key', None)", "const token = localStorage.getItem('access_token');",
    '<input type="password" name="password" id="id_password1">', '"password": "Passwort"',
    '"password_placeholder": "Enter your password"', "token_type: bearer", '"token_type": "Bearer"',
    "from secrets import token_urlsafe", "raise ValueError('token expired')",
    "tokens.append(Token(kind=TokenKind.IDENTIFIER, text=text))", "private_key = load_key(path)",
    "cookie = SimpleCookie()", "response.set_cookie('theme', 'dark')", "key=lambda item: item.score",
    "sorted(rows, key=operator.itemgetter('task_name_and_attempt'))", "primary_key=True",
    "ssh_key_path: ~/.ssh/id_ed25519", "secretKeyRef:\n  name: db-credentials\n  key: password\n",
    "npm_config_registry=https://registry.example.com/", "npm_lifecycle_event=postinstall",
    "from huggingface_hub import hf_hub_download", "hf_transfer_enabled_for_downloads_of_models",
    "class SecretStr(str): ...", "secretName: my-app-tls-secret", "basic authentication is used",
    "the bearer of this authorization has signed it", "auth: required for administrators only",
    "GET /oauth/token HTTP/1.1", "token_url=https://auth.example.com/oauth2/token", "key-value store",
    "--key-file /run/secrets/tls.key", "PASSWORD_FILE=/run/secrets/db_password", "pass:12 fail:3",
    "AccountKey is missing", "print(f'{token=}')", "token == expected_token_value_2",
    "session = requests.Session()", "risk-assessment-of-the-whole-deployment-process-in-2026",
    "desk-reservation-service-for-the-meeting-rooms-1", "password=password, user=user)",
    "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUY\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----",
    "Cookie: theme=dark; lang=en", "authorization = Authorization.from_header(header)",
)  # fmt: skip


def _blob_lines(r: Random) -> Iterator[str]:
    names = [some(r, LOWER, r.randrange(1, 4)) for _ in range(60)]
    yield (
        "!function(e,t){"
        + "".join(f"var {n}={r.randrange(99)};return {n}(e.{n},t)&&" for n in names)
        + "0}()"
    )
    yield "data:image/png;base64,iVBORw0KGgo" + some(r, B64, 1200) + "=="
    yield ".css-" + some(r, LOWER + DIGITS, 7) + "{color:#" + some(r, HEX, 6) + "}"
    yield "//# sourceMappingURL=data:application/json;base64," + some(r, B64, 400)
    yield f"https://cdn.example.com/assets/index.{some(r, HEX, 20)}.js?v={some(r, HEX, 8)}"
    yield f"https://example.com/watch?v={some(r, WORD, 11)}&t={r.randrange(99)}s"
    yield "".join(f"\\x{some(r, HEX, 2)}" for _ in range(60))
    yield f"0x{some(r, HEX, 40)} balance 0x{some(r, HEX, 12)}"
    yield ", ".join(f"{r.random():.16f}" for _ in range(8))
    yield f"/tmp/pytest-of-user/pytest-{r.randrange(99)}/{some(r, LOWER, 12)}0/cache/{some(r, ALNUM, 32)}"
    yield f"package {some(r, LOWER, 5)}.{some(r, LOWER, 8)}.AbstractTokenCredentialProviderFactoryBean2"
    yield f"key: {some(r, LOWER, 6)}-cache-linux-x64-{some(r, HEX, 64)}"


def innocents(seed: int = 1, rounds: int = 60) -> list[str]:
    """Give texts in which nothing is secret."""
    found: list[str] = []
    for turn in range(rounds):
        rng = Random(f"{seed}/innocent/{turn}")
        for made in (_hash_lines, _id_lines, _count_lines, _blob_lines):
            found += made(rng)
        lines = [*_STAND_INS, *_CODE]
        words = f"{some(rng, LOWER, 5)}_{turn}"
        found += [f"{line}  # {words}" for line in rng.sample(lines, 8)]
    plain = [*_STAND_INS, *_CODE]
    found += [*plain, *(_json({"text": line}) for line in plain), *(f"+{line}" for line in plain)]
    return found
