module example.org/filter

go 1.24
