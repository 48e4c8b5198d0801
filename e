/work/main/build/release/gradscape merge 11.38 s 10.05
