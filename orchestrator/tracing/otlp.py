"""Traces by OpenTelemetry, exported over OTLP (HTTP, protobuf).

A trace holds names of the configuration, ids and times. Of an error it holds the type: its text may
quote an alert or a system.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from opentelemetry import context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from temporalio.contrib.opentelemetry import TracingInterceptor

from connectors.sdk.call import Attributes, TraceSpan, export_spans
from orchestrator.domain.errors import Invalid
from orchestrator.settings import Settings

_NAME = "tocsin"
_propagator = TraceContextTextMapPropagator()


def open_exporter(settings: Settings) -> SpanExporter:
    """Return the exporter to the configured collector. Raise Invalid for a missing file."""
    authorization, ca_file = settings.otlp_authorization, settings.otlp_ca_file
    if ca_file is not None and not ca_file.is_file():
        raise Invalid(f"otlp_ca_file: {ca_file}: does not exist; name the collector's authority")
    return OTLPSpanExporter(
        endpoint=f"{settings.otlp_endpoint}/v1/traces",
        headers={"authorization": authorization.get_secret_value()} if authorization else {},
        certificate_file=str(ca_file) if ca_file else None,
    )


class Traces:
    """The traces of a process."""

    def __init__(self, exporter: SpanExporter, service: str, ratio: float = 1.0) -> None:
        self._provider = TracerProvider(
            sampler=ParentBasedTraceIdRatio(ratio),
            resource=Resource.create({"service.name": f"{_NAME}-{service}"}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(_WithoutTexts(exporter)))
        self._tracer = self._provider.get_tracer(_NAME)

    def begin_spans(self) -> None:
        """Trace the blocks of `span` from now on."""
        export_spans(self._begin)

    def close(self) -> None:
        """Send the spans that wait, and begin no more."""
        export_spans(None)
        self._provider.shutdown()

    def interceptor(self) -> TracingInterceptor:
        """Return the interceptor of Temporal's client and worker."""
        return TracingInterceptor(self._tracer)

    def position(self) -> str | None:
        """Return where the current trace is; None outside of any."""
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        return carrier.get("traceparent")

    @contextmanager
    def continued(self, position: str) -> Iterator[None]:
        """Let the block go on with a trace from a position."""
        token = context.attach(_propagator.extract({"traceparent": position}))
        try:
            yield
        finally:
            context.detach(token)

    @contextmanager
    def _begin(self, name: str, attributes: Attributes) -> Iterator[TraceSpan]:
        with self._tracer.start_as_current_span(
            name, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield span
            except BaseException as error:
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise


class _WithoutTexts(SpanExporter):
    """Exports spans without what Temporal's interceptor adds to them: the texts of errors."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([_without_texts(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _without_texts(span: ReadableSpan) -> ReadableSpan:
    kind, _, _ = (span.status.description or "").partition(":")
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=span.attributes,
        links=span.links,
        kind=span.kind,
        instrumentation_scope=span.instrumentation_scope,
        status=Status(span.status.status_code, kind or None),
        start_time=span.start_time,
        end_time=span.end_time,
    )
