"""Bootstrap and jackknife: which patients are drawn or left out, and the compiled loops over them."""
