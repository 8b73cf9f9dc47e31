"""DynamoDB: a Query of a partition reads its expression once, and not anew for every row.

MiniStack parses, checks and interprets the key condition for each row of the partition, whatever the condition is. A
run of 1,700 vertices is asked for its few tasks by each turn of each node's consumer, by its checks and by the live
view, at 40 to 70 ms each. The emulator is one process: the statuses of the build waited meanwhile.
What is kept here are answers of functions of their arguments alone; nothing is known of any table.
"""

import re
from functools import lru_cache

from ministack.services import dynamodb

from patching import replace

# Expressions of the stack's own code are some dozens; sizes are those of numbers (times, task numbers).
EXPRESSIONS_KEPT = 1024
NUMBERS_KEPT = 16384

# A partition's rows by the beginning of their sort key, as every SDK can write it. Names and values stand for
# themselves, so nothing in a text of this shape is left to refuse; any other text is MiniStack's.
ROWS_BY_PREFIX = re.compile(r"(#\w+) = (:\w+) AND begins_with\((#\w+), (:\w+)\)")


def apply():
    replace(dynamodb, "_tokenize", ["expr"], tokenize)
    replace(dynamodb, "_condition_syntax_error", ["expr", "slot"], kept(EXPRESSIONS_KEPT))
    replace(dynamodb, "_check_redundant_parens", ["tokens", "slot"], of_tokens)
    replace(dynamodb, "_check_reserved_keyword_usage", ["tokens"], of_tokens)
    replace(
        dynamodb,
        "_evaluate_condition",
        ["expr", "item", "attr_values", "attr_names", "slot"],
        evaluate_condition,
    )
    replace(dynamodb, "_number_size_bytes", ["text"], kept(NUMBERS_KEPT))


def kept(size):
    return lru_cache(maxsize=size)


def tokenize(original):
    once = kept(EXPRESSIONS_KEPT)(lambda expr: tuple(original(expr)))
    # A list of the caller's own each time.
    return lambda expr: list(once(expr))


def of_tokens(original):
    once = kept(EXPRESSIONS_KEPT)(lambda tokens, *slot: original(list(tokens), *slot))
    return lambda tokens, *slot: once(tuple(tokens), *slot)


def evaluate_condition(original):
    by_prefix = kept(EXPRESSIONS_KEPT)(ROWS_BY_PREFIX.fullmatch)

    def evaluate(expr, item, attr_values, attr_names, slot="ConditionExpression"):
        shape = by_prefix(expr) if slot == "KeyConditionExpression" else None
        if shape is None:
            return original(expr, item, attr_values, attr_names, slot)
        partition, partition_value, sort, prefix_value = shape.groups()
        prefix = attr_values[prefix_value].get("S")
        found = item[attr_names[sort]].get("S")
        if prefix is None or found is None:
            return original(expr, item, attr_values, attr_names, slot)
        return found.startswith(prefix) and item[attr_names[partition]] == attr_values[partition_value]

    return evaluate
