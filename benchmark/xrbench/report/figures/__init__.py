"""A run's figures as SVG and PNG that can be read in black and white, each with its numbers beside it as CSV.

A figure function is a row of ``blocks.BLOCKS["figure"]``: ``f(run, layout, folder, **options)`` returns the paths of the written files,
none where the run has nothing for it. All of them are given

* ``run``: the run with its scores, predictions, manifest and stored analyses (``report.run_folder.Run``);
* ``layout``: name and caption (``cards.FigureLayout``);
* ``folder``: where the files go.

The options of a card are keyword arguments, described in the function's docstring; one that is not usable is refused with a
``CardError`` or an ``UnknownNameError``. Options that several figures share choose what is shown:

* ``method``, ``model``, ``configuration`` (training sets), ``protocol``, ``label``, ``dataset``, ``split``: one name or several; all
  when empty, except that validation images are only shown when ``protocol`` names them;
* ``seed``: the seed that is shown; the lowest by default.

Importing this room loads nothing heavy.
"""
