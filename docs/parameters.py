"""Write the cells of parameters of the numbered notebooks anew, from what says which options there are.

    python docs/parameters.py
"""
from pathlib import Path

from rock_nb import ablation, folds, pipeline, sweep, train
from rock_nb.core.notebook import write_parameters

NOTEBOOKS = {
    '03_train': train.PARAMETERS, '03_folds': folds.PARAMETERS, '06_pipeline': pipeline.PARAMETERS,
    '06_sweep': sweep.PARAMETERS, '06_ablation': ablation.PARAMETERS}

if __name__ == '__main__':
    for name, known in NOTEBOOKS.items():
        write_parameters(Path(__file__).parents[1]/'nbs'/f'{name}.ipynb', known)
