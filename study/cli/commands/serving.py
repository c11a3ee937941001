"""The command that answers requests by a registered version."""

from pathlib import Path
from typing import Annotated

import typer

from study.cli.commands.models import AnyModel
from study.remote.remote_option import on_this_machine

serving_commands = typer.Typer()


@serving_commands.command(rich_help_panel="Models")
@on_this_machine
def serve(
    model: AnyModel,
    host: Annotated[
        str, typer.Option(help="Address to listen on; one that others reach needs --token-file.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 for any free one.")] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Holds the token that requests must have, as Authorization: Bearer."
        ),
    ] = None,
    shadow: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="A version that sees all images, too, such as NAME@candidate; it is not heard.",
        ),
    ] = None,
    shadow_log: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A line of JSON for each image that it labels differently."),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Keeps a bounded sample of the images that come, with what it said of each.",
        ),
    ] = None,
    find_faces: Annotated[
        bool,
        typer.Option("--find-faces", help="Understand find=face: the largest face is what is labelled."),
    ] = False,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads of the network; one fewer than cores.", min=1)
    ] = None,
    images_per_batch: Annotated[
        int, typer.Option(help="Images that go through the network together, at most.")
    ] = 32,
    gather_milliseconds: Annotated[
        float, typer.Option(help="How long a batch waits for requests that are being read.")
    ] = 2.0,
    images_per_request: Annotated[int, typer.Option(help="Images of one request, at most.")] = 64,
    request_mb: Annotated[float, typer.Option(help="Megabytes (2^20) of one request, at most.")] = 32,
    waiting_mb: Annotated[float, typer.Option(help="Megabytes of all requests that wait, at most.")] = 256,
    image_megapixels: Annotated[
        float, typer.Option(help="Millions of pixels of one image, at most; seen before it is decoded.")
    ] = 25,
    waiting_requests: Annotated[
        int, typer.Option(help="Requests that may wait; more are answered 429.")
    ] = 256,
    seconds: Annotated[float, typer.Option(help="From a request to its answer, at most.")] = 30,
    on_cluster: Annotated[
        bool,
        typer.Option(
            "--on-cluster", help="By replicas of Ray Serve; always so where RAY_ADDRESS names a cluster."
        ),
    ] = False,
    replicas: Annotated[
        str,
        typer.Option(metavar="LEAST:MOST", help="On a cluster: as many as requests need, between these."),
    ] = "1",
    gpus: Annotated[
        float, typer.Option(help="On a cluster: GPUs of one replica, such as 0.25 for four on one.")
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")] = False,
) -> None:
    """Answer requests by a version, the champion if none is named; promotions take effect within seconds.

    Example: study serve fer2013
    """
    from cluster.connection import is_shared
    from cluster.replicas import Replicas
    from study.cli.reports.serving_lines import print_ended, print_replicas, print_serving
    from study.home import Home
    from study.serving.bounds import MEGABYTE, Bounds
    from study.serving.cluster_server import serve_on_cluster
    from study.serving.composition import Serving
    from study.serving.local_server import serve_here

    bounds = Bounds(
        request_bytes=int(request_mb * MEGABYTE),
        waiting_bytes=int(waiting_mb * MEGABYTE),
        image_pixels=int(image_megapixels * 1e6),
        images_per_request=images_per_request,
        images_per_batch=images_per_batch,
        gather_milliseconds=gather_milliseconds,
        waiting_requests=waiting_requests,
        seconds=seconds,
    )
    serving = Serving(
        home=Home.current().folder,
        model=model,
        bounds=bounds,
        num_threads=threads,
        shadow=shadow,
        shadow_log=shadow_log,
        record=record,
        finds_faces=find_faces,
    )
    if on_cluster or is_shared():
        several = Replicas.of(replicas, cpus=threads or 1, gpus=gpus)
        serve_on_cluster(
            serving,
            several,
            host,
            port,
            token_file,
            lambda version, address: print_replicas(version, several, address, token_file, as_json=as_json),
        )
        return
    composed = serve_here(
        serving,
        host,
        port,
        token_file,
        lambda started, address: print_serving(started, address, token_file, as_json=as_json),
    )
    print_ended(composed.server, as_json=as_json)
