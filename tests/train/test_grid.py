from __future__ import annotations

import numpy as np
from PIL import Image

from faces import provenance
from train.grid import save_grid


def test_sheet_shows_every_picture_and_says_where_it_comes_from(tmp_path):
    path = tmp_path / "run" / "samples" / "sheet.png"
    path.parent.mkdir(parents=True)
    one, two = np.full((2, 4, 3, 3), 10, np.uint8), np.full((1, 4, 3, 3), 20, np.uint8)
    save_grid(path, [one, two], gap=1)
    sheet = np.asarray(Image.open(path))
    assert sheet.shape == (9, 7, 3)
    assert (sheet[:4, :3] == 10).all() and (sheet[:4, 4:] == 10).all() and (sheet[5:, :3] == 20).all()
    record = provenance.read(path)
    assert (record.digital_source_type, record.model) == ("trainedAlgorithmicMedia", "run")
