"""Stands in for the provider for Google Cloud, so that Terraform itself can judge the module without a cloud.

It speaks Terraform's plugin protocol and knows the schema in google-schema.json. What it is told to make it makes in no other
place than Terraform's state, with invented values for what only Google Cloud knows. Every resource and argument that the
module names is thus held against the provider's schema by Terraform, and every expression of the module is evaluated.
"""

import contextlib
import json
import os
import pathlib
import tempfile
from concurrent import futures

import grpc
import msgpack
from tf.gen import tfplugin_pb2 as messages
from tf.gen import tfplugin_pb2_grpc as services

SCHEMA = json.loads((pathlib.Path(__file__).parent / "google-schema.json").read_text())
PROVIDER = "registry.terraform.io/hashicorp/google"
UNKNOWN = msgpack.ExtType(0, b"\x00")
# What a machine in Google Cloud would have invented.
INVENTED = {"address": "10.0.0.99", "email": "dnsgate@project.iam.gserviceaccount.com", "generation": 1732740000000001}


def block(described, top=False):
    """A block of the schema as the protocol has it."""
    made = messages.Schema.Block()
    required = described.get("required", [])
    for name, kind in described.get("arguments", {}).items():
        must = name in required
        made.attributes.add(
            name=name, type=json.dumps(kind).encode(), required=must, optional=not must, computed=top and not must
        )
    for name, kind in described.get("computed", {}).items():
        made.attributes.add(name=name, type=json.dumps(kind).encode(), computed=True)
    nesting = messages.Schema.NestedBlock
    for name, inner in described.get("blocks", {}).items():
        mode = nesting.SINGLE if name == "timeouts" else nesting.LIST
        least, most = (0, 0) if name == "timeouts" else (int(name in required), 0 if inner["many"] else 1)
        made.block_types.add(type_name=name, block=block(inner), nesting=mode, min_items=least, max_items=most)
    return made


def unpacked(value):
    """A value of Terraform's."""
    return msgpack.unpackb(value.msgpack, raw=False, strict_map_key=False)


def packed(value):
    """The same, back."""
    return messages.DynamicValue(msgpack=msgpack.packb(value))


def is_unknown(value):
    """Whether a value is known only after the apply."""
    return isinstance(value, msgpack.ExtType)


def computed_names(described):
    """What the provider may set by itself."""
    required = described.get("required", [])
    return [name for name in described.get("arguments", {}) if name not in required] + list(described.get("computed", {}))


def kind_of(described, name):
    """The type of an attribute."""
    return described.get("arguments", {}).get(name) or described["computed"][name]


def invent(kind, resource, name):
    """A value that only Google Cloud would know."""
    if name in INVENTED:
        return INVENTED[name]
    if name == "id":
        return f"projects/p/{resource}"
    return {"string": f"{resource}.{name}", "number": 1, "bool": False}.get(kind if isinstance(kind, str) else "")


def filled(described, value, resource):
    """A planned value with everything known."""
    return {
        name: invent(kind_of(described, name), resource, name) if is_unknown(item) else item for name, item in value.items()
    }


class Provider(services.ProviderServicer):
    """The calls that Terraform makes for validate, plan, apply and destroy."""

    def __init__(self, objects):
        self.objects = objects

    def GetProviderSchema(self, request, context):
        provider = {"arguments": {name: "string" for name in ("project", "region", "zone", "user_project_override")}}
        answer = messages.GetProviderSchema.Response(provider=messages.Schema(block=block(provider)))
        for name, described in SCHEMA["resource"].items():
            answer.resource_schemas[name].block.CopyFrom(block(described, top=True))
        for name, described in SCHEMA["data"].items():
            answer.data_source_schemas[name].block.CopyFrom(block(described, top=True))
        return answer

    def ValidateProviderConfig(self, request, context):
        return messages.ValidateProviderConfig.Response()

    def ValidateResourceConfig(self, request, context):
        return messages.ValidateResourceConfig.Response()

    def ValidateDataResourceConfig(self, request, context):
        return messages.ValidateDataResourceConfig.Response()

    def ConfigureProvider(self, request, context):
        return messages.ConfigureProvider.Response()

    def UpgradeResourceState(self, request, context):
        return messages.UpgradeResourceState.Response(upgraded_state=messages.DynamicValue(json=request.raw_state.json))

    def ReadResource(self, request, context):
        return messages.ReadResource.Response(new_state=request.current_state)

    def PlanResourceChange(self, request, context):
        described = SCHEMA["resource"][request.type_name]
        proposed, prior = unpacked(request.proposed_new_state), unpacked(request.prior_state)
        if proposed is not None and prior is None:
            for name in computed_names(described):
                if proposed.get(name) is None:
                    proposed[name] = UNKNOWN
        answer = messages.PlanResourceChange.Response(planned_state=packed(proposed))
        # A template can only be replaced, which is what rolls the machines.
        if prior and proposed and request.type_name.endswith("_instance_template") and prior["metadata"] != proposed["metadata"]:
            step = messages.AttributePath.Step(attribute_name="metadata")
            answer.requires_replace.add(steps=[step])
        return answer

    def ApplyResourceChange(self, request, context):
        planned = unpacked(request.planned_state)
        if planned is not None:
            planned = filled(SCHEMA["resource"][request.type_name], planned, request.type_name)
        return messages.ApplyResourceChange.Response(new_state=packed(planned))

    def ReadDataSource(self, request, context):
        described, value = SCHEMA["data"][request.type_name], unpacked(request.config)
        for name in computed_names(described):
            if value.get(name) is None:
                value[name] = invent(kind_of(described, name), request.type_name, name)
        if "content" in value and value["name"] in self.objects:
            value["content"] = self.objects[value["name"]]
        return messages.ReadDataSource.Response(state=packed(value))

    def StopProvider(self, request, context):
        return messages.StopProvider.Response()


@contextlib.contextmanager
def running(objects=None):
    """Serves on a Unix socket, and gives the variables of the environment by which Terraform finds it."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "provider.sock")
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), options=[("grpc.max_receive_message_length", 64 << 20)])
        services.add_ProviderServicer_to_server(Provider(objects or {}), server)
        server.add_insecure_port(f"unix:{path}")
        server.start()
        address = {"Network": "unix", "String": path}
        attach = {"Protocol": "grpc", "ProtocolVersion": 6, "Pid": os.getpid(), "Test": True, "Addr": address}
        try:
            yield {"TF_REATTACH_PROVIDERS": json.dumps({PROVIDER: attach})}
        finally:
            server.stop(None).wait()

