"""Tables of a run, as values that every form is written from.

A table function is a row of ``blocks.BLOCKS["table"]``: ``f(run, layout, **options)`` returns a ``Table``, or None where the run has
nothing for it. All of them are given

* ``run``: the run with its scores, predictions, manifest, stored analyses and what the suite's paper reported
  (``report.run_folder.Run``);
* ``layout``: name, caption, metric and decimals (``cards.TableLayout``).

The options of a card are keyword arguments, described in the function's docstring. Options that several tables share:

* ``protocol``: ``external``, ``internal`` or ``resubstitution``; empty for all;
* ``label``: one label, ``each`` for all; when empty the mean over labels, or the only label.
"""
