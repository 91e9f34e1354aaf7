"""The storage ports on DynamoDB, S3 and Step Functions. No module here imports the SDK when it is imported,
nor reads the environment.

One table, of string keys `pk` and `sk`. A response's items share the `pk` "<tenant>/<response id>":

    sk                  attributes besides `ttl` (Unix seconds) and `writer` (a token of the last write)
    record              status, lease, cancelled; once the response is over, response (with what it discarded);
                        list_pk, list_sk and listed, by which the index `by-time` lists it: see `listing`
    input               input; response (as it was created); chain, the links to the responses before it, or lock,
                        of the conversation before it
    run                 run, version
    log#<batch number>  events, first, last (sequence numbers); a tombstone has none of them
    chunk#<level>#<id>  items, of the responses from this one to that of the id; members, the last ids of what it was
                        made of; status, once it is being deleted. `ttl` is the smallest of its members

`prompts` describes where prompts are. A connection of the WebSocket API has the `pk` "<tenant>/socket/<connection id>";
`sockets` describes its items. A conversation has the `pk` "<tenant>/<conversation id>", and nothing of it expires:

    record              conversation, version, holder, lease; status, once it is being deleted
    items#<place>       items, that were added together

An idempotency key has the `pk` "<tenant>/key/<SHA-256>" and the `sk` "claim", with response_id and body_hash. A request
for approval that was answered has the `pk` "<tenant>/spent/<SHA-256 of its id>" and the `sk` "spent", with the
response_id that it was spent for. The keys of clients have a `pk` without a slash, which no tenant's has: `client_keys`
describes them, and of the functions' roles only the authorizer's may read them.

`record` is small while a response is being made: it is renewed every second, for one write unit each time. (For one
more with each KB of its metadata, which are in `listed`.)
`response`, `input`, `run`, `events` and `items` are compressed JSON, or the key of an object that holds it;
`conversation` is compressed JSON.
"""
