"""How one recipe is trained and measured: datasets, models, augmentation, phases, the loop.

Never ray, mlflow or optuna.
"""
