"""Test a paper's claims on a run, one by one: each holds, does not hold, or cannot be told.

A claim of a paper's card names a check, a row of ``blocks.BLOCKS["claim"]``: ``f(run, claim, **options)`` returns a ``Verdict``. All of
them are given

* ``run``: the run with its scores, predictions and manifest (``report.run_folder.Run``);
* ``claim``: the claim with its sentence (``cards.Claim``).

The options of a card are keyword arguments, described in the function's docstring. Options that several checks share:

* ``configurations``: training sets that the claim is about; all by default;
* ``labels``: labels that it is about; all, without their mean, by default; ``mean`` is the mean over all;
* ``protocol``, ``protocols``: kinds of test that it is about, ``internal`` or ``external``;
* ``metric``: the metric that is compared.

The claims of a paper are one family: their p-values are adjusted for how many there are.
"""
