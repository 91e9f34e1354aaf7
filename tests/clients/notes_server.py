"""An MCP server on stdio with one tool. It appends what it is told to the file that its argument names."""

import json
import sys
from pathlib import Path

NOTE = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}

for line in sys.stdin:
    request = json.loads(line)
    match request["method"], request.get("params"):
        case _ if "id" not in request:
            continue
        case "initialize", {"protocolVersion": version}:
            info = {"name": "notes", "version": "1"}
            answer = {"result": {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}}
        case "tools/list", _:
            answer = {"result": {"tools": [{"name": "write_note", "description": "Note.", "inputSchema": NOTE}]}}
        case "tools/call", {"arguments": {"text": text}}:
            with Path(sys.argv[1]).open("a") as file:
                file.write(f"{text}\n")
            answer = {"result": {"content": [{"type": "text", "text": f"noted {text}"}]}}
        case _:
            answer = {"error": {"code": -32601, "message": "no such method"}}
    print(json.dumps({"jsonrpc": "2.0", "id": request["id"], **answer}), flush=True)
