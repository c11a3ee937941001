"""What KubeRay takes, by the API reference of its version 1.6.2.

https://docs.ray.io/en/master/cluster/kubernetes/references/api.html

No package carries the schema of its resources. Fields that we do not use are missing on purpose: who needs
one looks it up and adds it. Pod templates are Kubernetes' own and are checked as such.
"""

from typing import Any

_STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}
_POD_TEMPLATE = {"type": "object", "required": ["spec"]}


def _object(required: tuple[str, ...], **properties: object) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "properties": properties,
        "additionalProperties": False,
    }


_GROUP = {"rayStartParams": _STRINGS, "template": _POD_TEMPLATE}
_CLUSTER_SPEC = _object(
    ("headGroupSpec", "rayVersion"),
    rayVersion={"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
    authOptions=_object(("mode",), mode={"enum": ["disabled", "token"]}, secretName={"type": "string"}),
    enableInTreeAutoscaling={"type": "boolean"},
    autoscalerOptions=_object(
        (),
        upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
        idleTimeoutSeconds={"type": "integer"},
        resources={"type": "object"},
        securityContext={"type": "object"},
    ),
    headGroupSpec=_object(
        ("template",), serviceType={"enum": ["ClusterIP", "NodePort", "LoadBalancer"]}, **_GROUP
    ),
    workerGroupSpecs={
        "type": "array",
        "items": _object(
            ("groupName", "minReplicas", "maxReplicas", "template"),
            groupName={"type": "string"},
            replicas={"type": "integer"},
            minReplicas={"type": "integer"},
            maxReplicas={"type": "integer"},
            **_GROUP,
        ),
    },
)
_JOB_SPEC = _object(
    ("entrypoint", "clusterSelector"),
    entrypoint={"type": "string"},
    clusterSelector=_STRINGS,
    submitterPodTemplate=_POD_TEMPLATE,
)
_HEADER = {"apiVersion": {"const": "ray.io/v1"}, "metadata": {"type": "object", "required": ["name"]}}

SCHEMAS = {
    "RayCluster": _object(
        ("apiVersion", "kind", "metadata", "spec"),
        kind={"const": "RayCluster"},
        spec=_CLUSTER_SPEC,
        **_HEADER,
    ),
    "RayJob": _object(
        ("apiVersion", "kind", "metadata", "spec"), kind={"const": "RayJob"}, spec=_JOB_SPEC, **_HEADER
    ),
}
