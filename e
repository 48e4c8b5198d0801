gradscape: /tmp/mn/run: 1 of 1 runs are not complete
  hint: `gradscape sweep` computes what is missing
Command exited with non-zero status 1
new status 5.80 s
