"""What a turn used up."""

from ...schema.response import InputTokensDetails, OutputTokensDetails, Usage


def usage_of(given: int, made: int, *, cached: int = 0, thought: int = 0, total: int = 0) -> Usage:
    """Numbers of tokens: `cached` are among those given to the model, `thought` among those that it made."""
    return Usage(
        input_tokens=given,
        input_tokens_details=InputTokensDetails(cached_tokens=cached),
        output_tokens=made,
        output_tokens_details=OutputTokensDetails(reasoning_tokens=thought),
        total_tokens=total or given + made,
    )
