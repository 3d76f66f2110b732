"""Conditions on a comparison that fail a pipeline: `reward.difference.low < -0.05`.

    condition = test | not condition | condition and condition | condition or condition
              | ( condition )
    test      = value OP constant        OP is one of <  <=  >  >=  ==  !=
    value     = FIELD                    a dotted path over the comparison's JSON
              | len(LIST)                how many items a list or table has
              | count(condition)         how many items of a list a condition is true of; its
                                         fields lead through that list:
                                         count(audit.grade == "blocker")
    constant  = 12 | -0.05 | 5% | "text" | true | false | null

`not` binds closer than `and`, `and` closer than `or`. null fits only == and !=. What is not
known is neither below nor above a number: such a test is undecided, and so is the condition
unless its other tests settle it (Kleene's logic of three values).

A condition says what FAILS the gate. A true one fails. One that is not true holds, unless it
is undecided, no task has a valid value in both arms, or the audit has blockers and the
condition neither asks for these (`audit.grade`, `verdict.blockers`) nor for the audit alone:
then nothing can be concluded.
"""

from evaltrace.gate.fields import WrongCondition
from evaltrace.gate.grammar import Condition, parse_condition
from evaltrace.gate.judgement import Decision, Outcome, evaluate, evaluate_all, worst

__all__ = [
    "Condition",
    "Decision",
    "Outcome",
    "WrongCondition",
    "evaluate",
    "evaluate_all",
    "parse_condition",
    "worst",
]
