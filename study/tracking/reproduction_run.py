"""The table of reproductions in MLflow: one run for each table, in an experiment of its own."""

from study import names
from study.connections.mlflow_client import connect, prepare_experiment, tracking_errors
from study.home import Home
from study.results.reproduction import Reproductions
from study.results.reproduction_table import markdown_table, reproduction_dict


def log_table(home: Home, reproductions: Reproductions) -> str:
    """Logs the table as Markdown and JSON, each mean as a metric; returns the run's id.

    Raises TrackingError.
    """
    client = connect(home.tracking_uri)
    with tracking_errors(client.tracking_uri):
        experiment_id = prepare_experiment(
            client,
            home,
            names.REPRODUCTIONS,
            "Tables of `study reproduce`: what recipes reach here, beside what their sources state.",
        )
        run_id: str = client.create_run(
            experiment_id, run_name=f"{len(reproductions.done)} recipes"
        ).info.run_id
        for reproduction in reproductions.done:
            client.log_metric(
                run_id, names.recipe_metric(reproduction.recipe, reproduction.metric), reproduction.mean
            )
            client.set_tag(run_id, names.verdict_tag(reproduction.recipe), reproduction.verdict)
        client.log_text(run_id, markdown_table(reproductions), "reproductions.md")
        client.log_dict(
            run_id,
            {"reproductions": [reproduction_dict(one) for one in reproductions.done]},
            "reproductions.json",
        )
        client.set_terminated(run_id)
    return run_id
