module github.com/hostbond/hostbond/gormstore

go 1.26.0

require (
	github.com/hostbond/hostbond/core v0.1.0
	gorm.io/gorm v1.31.2
)

require (
	github.com/go-json-experiment/json v1.27.2 // indirect
	github.com/golang-jwt/jwt/v5 v5.3.1 // indirect
	github.com/hashicorp/golang-lru/v2 v2.0.7 // indirect
	github.com/jinzhu/inflection v1.0.0 // indirect
	github.com/jinzhu/now v1.1.5 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/text v0.20.0 // indirect
	golang.org/x/time v0.16.0 // indirect
)

replace github.com/hostbond/hostbond/core => ../core
