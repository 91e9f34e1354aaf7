"""Traces of responses, as OpenTelemetry has them: `traces` makes the spans, by the conventions for generative AI, and
`otlp` sends them to a collector. Where tracing is off, nothing of this is imported. No span holds what was said.
"""
