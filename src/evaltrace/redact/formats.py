"""The rules for secrets that are known by their form, provider by provider."""

from __future__ import annotations

from evaltrace.redact.outlines import SPACE, any_case
from evaltrace.redact.rules import BEFORE, CUT, START, Rule, token

_WORD = r"[A-Za-z0-9_-]"
_ALNUM = "[A-Za-z0-9]"
_HEX = "[0-9a-fA-F]"

_MODELS = (
    token("anthropic-key", "Anthropic API key, admin key or OAuth token", "sk-ant-",
          rf"{_WORD}{{20,300}}"),
    token("openrouter-key", "OpenRouter API key", "sk-or-", rf"{_WORD}{{32,100}}"),
    token("openai-key", "OpenAI API key: project, service account or admin",
          "sk-proj- sk-svcacct- sk-admin- sk-None-", rf"{_WORD}{{20,300}}"),
    token("sk-key", "API key as OpenAI first had them, which others copied", "sk-",
          rf"(?:lf-)?(?:{_ALNUM}{{32,128}}|{_ALNUM}{{8}}(?:-{_ALNUM}{{4}}){{3}}-{_ALNUM}{{12}})",
          check="digit", sieve=f"(?:lf-)?{_ALNUM}{{8}}", example="sk-…T3BlbkFJ…"),
    token("google-api-key", "Google API key", "AIza", rf"{_WORD}{{35}}"),
    token("google-oauth", "Google OAuth token, refresh token or client secret",
          "ya29. GOCSPX- 1//0", rf"{_WORD}{{20,500}}"),
    token("hugging-face-token", "Hugging Face token", "hf_ api_org_", rf"{_ALNUM}{{30,60}}"),
    token("groq-key", "Groq API key", "gsk_", rf"{_ALNUM}{{40,80}}"),
    token("xai-key", "xAI API key", "xai-", rf"{_ALNUM}{{60,120}}"),
    token("perplexity-key", "Perplexity API key", "pplx-", rf"{_ALNUM}{{40,80}}"),
    token("replicate-token", "Replicate token", "r8_", rf"{_ALNUM}{{37,40}}"),
    token("langsmith-key", "LangSmith key", "lsv2_pt_ lsv2_sk_", r"[0-9a-f]{32}_[0-9a-f]{10}"),
    token("tavily-key", "Tavily API key", "tvly-", rf"{_WORD}{{28,60}}", check="digit"),
    token("sandbox-key", "E2B or Daytona key", "e2b_ dtn_", "[0-9a-f]{40,64}"),
)  # fmt: skip

_CLOUDS = (
    token("aws-access-key-id", "AWS access key id", "AKIA ASIA ABIA ACCA",
          "[A-Z2-7]{16}(?![A-Za-z0-9])", sieve="[A-Z2-7]{4}"),
    Rule(
        name="aws-secret-key", title="AWS secret access key, by the name before it", kind="format",
        pattern=r"(?:secret_?access_?key|aws_?secret(?:_?key)?)(?:\\{0,15}[\"'])?\s{0,4}(?:=>|[:=,])"
                r"\s{0,4}(?:\\{0,15}[\"'])?(?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])",
        needles=("secret",), ignore_case=True, min_entropy=3.5, check="random",
        sieve=any_case("secret_?access_?key|aws_?secret(?:_?key)?").join(("(?:", ")"))
              + rf"(?:\\*[\"'])?{SPACE}*(?:=>|[:=,])",
        example="aws_secret_access_key = …",
    ),
    Rule(
        name="azure-key", title="Azure storage, bus or OpenAI key", kind="format",
        pattern=r"(?:(?:Account|SharedAccess)Key=(?P<secret>[A-Za-z0-9+/]{43,88}={0,2})|"
                + START + r"[A-Za-z0-9]{50,53}JQQJ9[A-Za-z0-9]{20,30}(?![A-Za-z0-9]))",
        needles=("AccountKey=", "SharedAccessKey=", "JQQJ9"), min_entropy=3.0,
        sieve="(?:Account|SharedAccess)Key=[A-Za-z0-9+/]{8}|JQQJ9",
        example="AccountKey=…==",
    ),
    Rule(
        name="azure-client-secret", title="Azure (Entra) client secret", kind="format",
        pattern=START + r"[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}(?![\w~-])",
        needles=("Q~",), sieve="[0-9]Q~[A-Za-z0-9_~.-]{8}", min_entropy=3.0, example="….8Q~…",
    ),
    token("digitalocean-token", "DigitalOcean token", "dop_v1_ doo_v1_ dor_v1_", "[a-f0-9]{64}"),
    token("databricks-token", "Databricks token", "dapi", r"[0-9a-f]{32}(?:-\d)?(?![\w-])",
          sieve="[0-9a-f]{8}"),
    token("vault-token", "HashiCorp Vault token", "hvs. hvb.", rf"{_WORD}{{24,300}}"),
    token("supabase-token", "Supabase token", "sbp_", "[0-9a-f]{40}"),
    token("docker-token", "Docker Hub token", "dckr_pat_ dckr_oat_", rf"{_WORD}{{27,60}}"),
)  # fmt: skip

_CODE_HOSTS = (
    token("github-token", "GitHub token: classic, OAuth, app, refresh",
          "ghp_ gho_ ghu_ ghs_ ghr_", rf"{_ALNUM}{{36,255}}"),
    token("github-fine-grained", "GitHub fine-grained token", "github_pat_",
          "[A-Za-z0-9_]{36,255}"),
    token("gitlab-token", "GitLab token",
          "glpat- gldt- glrt- glcbt- glptt- glft- glimt- glagent- glsoat- gloas- glffct-",
          rf"{_WORD}{{20,100}}(?:\.[a-z0-9]{{2}}\.[a-z0-9]{{9}})?"),
    token("sourcegraph-token", "Sourcegraph token", "sgp_ slk_",
          rf"(?:{_HEX}{{16}}_|local_)?{_HEX}{{40,64}}", sieve="(?:[0-9a-fA-F]{4}|loca)"),
    token("npm-token", "npm token", "npm_", rf"{_ALNUM}{{36}}(?!{_ALNUM})"),
    token("pypi-token", "PyPI token", "pypi-Ag", rf"{_WORD}{{50,400}}"),
    token("atlassian-token", "Atlassian token", "ATATT3 ATCTT3", r"[\w=-]{60,300}"),
    token("linear-key", "Linear API key", "lin_api_ lin_oauth_", rf"{_ALNUM}{{32,64}}"),
    token("postman-key", "Postman API key", "PMAK-", r"[0-9a-f]{24}-[0-9a-f]{34}"),
)  # fmt: skip

_SERVICES = (
    token("slack-token", "Slack token",
          "xoxb- xoxp- xoxa- xoxr- xoxs- xoxe- xoxe.xoxp- xoxc- xoxd- xapp-",
          r"[A-Za-z0-9%-]{20,400}", check="digit"),
    Rule(
        name="webhook", title="Slack or Discord webhook address", kind="format",
        pattern=r"(?:hooks\.slack\.com/(?:services|workflows|triggers)/(?P<secret>[\w/-]{20,120})"
                r"|discord(?:app)?\.com/api/webhooks/\d{5,25}/[\w-]{30,120})",
        needles=("hooks.slack.com/", "/api/webhooks/"), min_entropy=3.0, check="random",
        sieve=r"hooks\.slack\.com/[a-z]+/[A-Za-z0-9]{4}|/api/webhooks/[0-9]",
        example="https://hooks.slack.com/services/T…/B…/…",
    ),
    token("stripe-key", "Stripe key or webhook secret",
          "sk_live_ rk_live_ sk_test_ rk_test_ sk_prod_ rk_prod_ whsec_", r"[A-Za-z0-9+/]{16,250}"),
    token("sendgrid-key", "SendGrid key", "SG.", rf"{_WORD}{{22}}\.{_WORD}{{43}}",
          sieve=f"{_WORD}{{8}}"),
    token("twilio-key", "Twilio API key", "SK", rf"[0-9a-f]{{32}}(?!{_ALNUM})",
          sieve="[0-9a-f]{8}"),
    token("mailgun-key", "Mailgun key", "key-", rf"[0-9a-f]{{32}}(?!{_ALNUM})",
          sieve="[0-9a-f]{8}"),
    token("shopify-token", "Shopify token", "shpat_ shpca_ shppa_ shpss_", rf"{_HEX}{{32}}"),
    token("notion-token", "Notion token", "ntn_ secret_", rf"{_ALNUM}{{43,50}}"),
    token("figma-token", "Figma token", "figd_", rf"{_WORD}{{40,60}}"),
    token("grafana-token", "Grafana token", "glsa_ glc_", r"[A-Za-z0-9_=+/]{32,300}"),
    token("sentry-token", "Sentry token", "sntrys_ sntryu_", r"[A-Za-z0-9_=+/]{40,400}"),
    token("newrelic-key", "New Relic key", "NRAK-", "[A-Z0-9]{27}"),
    Rule(
        name="telegram-token", title="Telegram bot token", kind="format",
        pattern=START + rf"\d{{8,10}}:AA{_WORD}{{33}}(?!{_WORD})", needles=(":AA",),
        sieve=rf"[0-9\x7f]:AA{_WORD}{{8}}", min_entropy=3.0, example="123456789:AA…",
    ),
)  # fmt: skip

_KEYS = (
    Rule(
        name="jwt", title="JSON web token", kind="format",
        pattern=START + rf"eyJ{_WORD}{{10,1500}}\.(?:eyJ{_WORD}{{8,3000}}\.{_WORD}{{8,1500}}"
                rf"|{_WORD}{{0,1500}}\.{_WORD}{{8,200}}\.{_WORD}{{8,3000}}\.{_WORD}{{8,200}})",
        needles=("eyJ",),
        sieve=rf"{BEFORE}eyJ{_WORD}{{2}}{_WORD}*(?:\.{_WORD}|{CUT})", check="jwt",
        prefixes=("eyJhbGci", "eyJ0eXAi", "eyJraWQi"), example="eyJ….eyJ….…",
    ),
    Rule(
        name="private-key", title="Private key in PEM, OpenSSH or PGP form, whole or cut",
        kind="format", finder="pem",
        pattern=r"-----(?:BEGIN|END) (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----",
        needles=("PRIVATE KEY",), sieve="PRIVATE KEY", example="-----BEGIN … PRIVATE KEY-----",
    ),
    Rule(
        name="private-key-base64", title="Private key in PEM form, once more in base64",
        kind="format",
        pattern=r"LS0tLS1CRUdJTi[A-Za-z0-9+/_-]{80,16000}={0,2}",
        needles=("LS0tLS1CRUdJTi",), sieve="LS0tLS1CRUdJTi", check="pem",
        example="client-key-data: LS0tLS1CRUdJTi…",
    ),
    token("age-key", "age secret key", "AGE-SECRET-KEY-1", "[0-9A-Z]{58}"),
)  # fmt: skip

FORMATS: tuple[Rule, ...] = (*_MODELS, *_CLOUDS, *_CODE_HOSTS, *_SERVICES, *_KEYS)
"""All rules of this module."""
