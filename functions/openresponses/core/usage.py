"""Counts of tokens, added up."""

from ..schema.response import InputTokensDetails, OutputTokensDetails, Usage


def add_usage(a: Usage, b: Usage) -> Usage:
    """The sum of two turns' tokens."""
    total = Usage(
        input_tokens=a.input_tokens + b.input_tokens,
        output_tokens=a.output_tokens + b.output_tokens,
        total_tokens=a.total_tokens + b.total_tokens,
    )
    total.input_tokens_details = InputTokensDetails(
        cached_tokens=a.input_tokens_details.cached_tokens + b.input_tokens_details.cached_tokens,
        cache_write_tokens=a.input_tokens_details.cache_write_tokens + b.input_tokens_details.cache_write_tokens,
    )
    total.output_tokens_details = OutputTokensDetails(
        reasoning_tokens=a.output_tokens_details.reasoning_tokens + b.output_tokens_details.reasoning_tokens
    )
    return total
