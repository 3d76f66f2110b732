"""Names of attributes: those that are written, and the older and rival ones that are read.

Written are those of the OpenTelemetry conventions for generative AI, and under `evaltrace.`
what these have no word for. Of the names in a tuple, the first that a span has is read.
"""

from __future__ import annotations

OWN = "evaltrace."
"""What our own attributes begin with; on a root the rest is the place in the trace."""

EVENT = "evaltrace.event."
"""What those of an event begin with; the rest is the name of the field."""

TRACE_ID = OWN + "trace_id"
EVENT_TYPE = EVENT + "type"
CUTS = OWN + "truncated"

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
AGENT_NAME = "gen_ai.agent.name"
AGENT_VERSION = "gen_ai.agent.version"
CONVERSATION = "gen_ai.conversation.id"
TOOL_NAME = "gen_ai.tool.name"
TOOL_TYPE = "gen_ai.tool.type"
CALL_ID = "gen_ai.tool.call.id"
ARGUMENTS = "gen_ai.tool.call.arguments"
RESULT = "gen_ai.tool.call.result"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHE_READ = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE = "gen_ai.usage.cache_write.input_tokens"
CACHE_CREATION = "gen_ai.usage.cache_creation.input_tokens"
"""The earlier name of CACHE_WRITE; written too, as most receivers know no other yet."""
EVALUATION = "gen_ai.evaluation.result"
EVALUATION_NAME = "gen_ai.evaluation.name"
SCORE = "gen_ai.evaluation.score.value"
LABEL = "gen_ai.evaluation.score.label"
MCP_METHOD = "mcp.method.name"
ERROR_TYPE = "error.type"

# What is read.

OPERATIONS = (OPERATION, "openinference.span.kind", "traceloop.span.kind", "llm.request.type")
PROVIDERS = (PROVIDER, "gen_ai.system", "llm.provider", "llm.system")
MODELS = (
    "gen_ai.response.model", REQUEST_MODEL, "llm.response.model_name", "llm.model_name",
    "llm.request.model_name", "embedding.model_name",
)  # fmt: skip
INPUTS = (
    INPUT_TOKENS, "gen_ai.usage.prompt_tokens", "llm.token_count.prompt",
    "llm.usage.prompt_tokens",
)  # fmt: skip
OUTPUTS = (
    OUTPUT_TOKENS, "gen_ai.usage.completion_tokens", "llm.token_count.completion",
    "llm.usage.completion_tokens",
)  # fmt: skip
CACHE_READS = (
    CACHE_READ, "gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.input_tokens.cached",
    "gen_ai.usage.details.cache_read_tokens", "gen_ai.usage.details.cache_read_input_tokens",
    "llm.token_count.prompt_details.cache_read",
)  # fmt: skip
CACHE_WRITES = (
    CACHE_WRITE, CACHE_CREATION, "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.input_tokens.cache_write", "gen_ai.usage.details.cache_write_tokens",
    "gen_ai.usage.details.cache_creation_input_tokens",
    "llm.token_count.prompt_details.cache_write",
)  # fmt: skip
COSTS = (
    "gen_ai.usage.cost.amount", "gen_ai.usage.cost", "gen_ai.cost.total_cost",
    "llm.cost.total", "operation.cost",
)  # fmt: skip
CURRENCY = "gen_ai.usage.cost.currency"
AGENTS = (
    AGENT_NAME, "agent.name", "agent_name", "gen_ai.workflow.name", "traceloop.workflow.name",
    "traceloop.entity.name", "graph.node.id",
)  # fmt: skip
TOOLS = (TOOL_NAME, "tool.name", "tool_call.function.name", "traceloop.entity.name")
CALL_IDS = (CALL_ID, "tool_call.id", "tool.id")
CALL_INPUTS = (
    ARGUMENTS, "tool_call.function.arguments", "tool.parameters", "gen_ai.tool.input",
    "tool_arguments", "traceloop.entity.input", "input.value",
)  # fmt: skip
CALL_OUTPUTS = (
    RESULT, "gen_ai.tool.output", "tool_response", "traceloop.entity.output", "output.value",
)  # fmt: skip
PROMPTS = (
    INPUT_MESSAGES, "gen_ai.prompt", "llm.input_messages", "gen_ai.request.messages",
    "pydantic_ai.all_messages", "all_messages_events", "traceloop.entity.input", "input.value",
)  # fmt: skip
COMPLETIONS = (
    OUTPUT_MESSAGES, "gen_ai.completion", "llm.output_messages", "gen_ai.response.text",
    "final_result", "traceloop.entity.output", "output.value",
)  # fmt: skip
CONVERSATIONS = (CONVERSATION, "session.id")
FLATTENED = ("gen_ai.prompt", "gen_ai.completion", "llm.input_messages", "llm.output_messages")
"""Lists that are written as one attribute for each leaf: `llm.input_messages.0.message.role`."""

CALLS_OF_MODELS = {"chat", "text_completion", "generate_content", "completion", "llm", "responses"}
CALLS_OF_TOOLS = {"execute_tool", "tool"}
AGENT_STEPS = {"invoke_agent", "invoke_workflow", "create_agent", "agent", "workflow"}

PROVIDER_NAMES = {
    "bedrock": "aws.bedrock",
    "amazon-bedrock": "aws.bedrock",
    "azure": "azure.ai.openai",
    "google": "gcp.gemini",
    "gemini": "gcp.gemini",
    "vertex": "gcp.vertex_ai",
    "vertex_ai": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "xai": "x_ai",
}
"""Names of providers as the conventions spell them, by how they are spelled otherwise."""

MAKERS = {
    "claude": "anthropic",
    "gpt": "openai",
    "o1": "openai",
    "o3": "openai",
    "o4": "openai",
    "gemini": "gcp.gemini",
    "deepseek": "deepseek",
    "mistral": "mistral_ai",
    "grok": "x_ai",
    "kimi": "moonshot_ai",
}
"""Makers of models, by how the names of these begin."""
