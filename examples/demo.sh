#!/bin/sh
# The tour behind `make demo`: two sample jobs become traces, then a comparison.
set -eu
cd "$(dirname "$0")/.."

run() {
  printf '\n$ %s\n' "$*"
  "$@"
}

run evaltrace aggregate examples/jobs/baseline --arm baseline
run evaltrace aggregate examples/jobs/with-codesearch --arm codesearch

baseline=artifacts/baseline-execution-traces-full.json
codesearch=artifacts/codesearch-execution-traces-full.json
question='.traces[] | {task: .task_id, status, tokens: .metrics.tokens.total, reward: .test_reward}'
if command -v jq >/dev/null; then
  printf "\n\$ jq -c '%s' %s\n" "$question" "$codesearch"
  jq -c "$question" "$codesearch"
else
  printf '\n(jq is not installed; with it: jq -c %s %s)\n' "'$question'" "$codesearch"
  run evaltrace show "$codesearch"
fi

run evaltrace compare "$baseline" "$codesearch" \
  -o - -o artifacts/comparison.html -o artifacts/comparison.md -o artifacts/comparison.json
run evaltrace validate "$baseline" "$codesearch" artifacts/comparison.json

printf '\nThe traces are in\n  %s\n  %s\n' "$PWD/$baseline" "$PWD/$codesearch"
printf 'The report: open\n  %s\n' "$PWD/artifacts/comparison.html"
