module millstream/plugin

go 1.24
