"""A runtime that answers with exactly the bytes that the request asks for."""

import base64
import http.client
import json
import os

PREFIX = "/2018-06-01/runtime/invocation"
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    api.request("GET", f"{PREFIX}/next")
    answer = api.getresponse()
    request = json.loads(json.loads(answer.read())["body"])
    headers = {
        "Lambda-Runtime-Invocation-Id": answer.headers["Lambda-Runtime-Invocation-Id"],
        "Lambda-Runtime-Function-Response-Mode": "streaming",
        "Transfer-Encoding": "chunked",
        "Trailer": "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
    }
    api.putrequest("POST", f"{PREFIX}/{answer.headers['Lambda-Runtime-Aws-Request-Id']}/response")
    for name, value in headers.items():
        api.putheader(name, value)
    api.endheaders()
    for text in request["chunks"]:
        chunk = text.encode()
        api.send(b"%x\r\n%b\r\n" % (len(chunk), chunk))
    trailers = ""
    if "error" in request:
        document = base64.b64encode(json.dumps({"errorMessage": "late"}).encode()).decode()
        trailers = f"{headers['Trailer'].split(', ')[0]}: {request['error']}\r\n"
        trailers += f"{headers['Trailer'].split(', ')[1]}: {document}\r\n"
    api.send(f"0\r\n{trailers}\r\n".encode())
    api.getresponse().read()
