"""WebSocket mode: what a connection's messages ask for, lane by lane. Knows no AWS and no framework."""
