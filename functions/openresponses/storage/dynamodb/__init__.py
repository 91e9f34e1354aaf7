"""The storage ports on DynamoDB, S3 and Step Functions. Importing these modules imports no SDK, and none reads the
environment.

One table, of string keys `pk` and `sk`. A response's items share the `pk` "<tenant>/<response id>":

    sk                  attributes besides `ttl` (Unix seconds) and `writer` (a token of the last write)
    record              status, lease, cancelled; once it is over, response (and what it discarded)
    input               input (with the ancestors); response (as it was created)
    run                 run, version
    output#<item id>    output
    log#<batch number>  events, first, last (sequence numbers); a tombstone has none of them

An idempotency key is "<tenant>/key/<SHA-256>", `claim`: response_id, body_hash. The keys of clients have partitions
without a slash, which no tenant's can be: `keys` says what is in them, and only the authorizer's role reaches them.

`record` is small while a response is being made: renewing it every second costs one write unit each time.
`response`, `input`, `run`, `output` and `events` are compressed JSON, or the key of an object that holds it.
"""
