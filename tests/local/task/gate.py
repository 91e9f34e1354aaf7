"""An authorizer that answers what its token asks for, and tells how often it was asked."""

ASKED = 0


def handler(event, context):
    global ASKED
    ASKED += 1
    arn = event["methodArn"]
    stage = "/".join(arn.split("/")[:2])
    allow = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": f"{stage}/*/*"}
    context = {"tenant": "acme", "asked": ASKED, "arn": arn, "kind": event["type"], "yes": True}
    match event["authorizationToken"].split()[1].partition("-")[0]:
        case "allow":
            return answer([allow], context)
        case "once":
            return answer([{**allow, "Resource": [f"{stage}/PATCH/*", arn]}], context)
        case "silent":
            return {"principalId": "who", "policyDocument": {"Statement": allow}}
        case "deny":
            return answer(
                [allow, {**allow, "Effect": "Deny", "Action": ["*"], "Resource": f"{stage}/GET/private/?"}], {}
            )
        case "nothing":
            return answer([{**allow, "Action": "execute-api:ManageConnections"}], {})
        case "unauthorized":
            raise Exception("Unauthorized")
        case "crash":
            raise ValueError("planted")
        case "nested":
            return answer([allow], {"object": {"a": 1}})
        case _:
            return "not a policy"


def answer(statements, context):
    policy = {"Version": "2012-10-17", "Statement": statements}
    return {"principalId": "who", "policyDocument": policy, "context": context}
